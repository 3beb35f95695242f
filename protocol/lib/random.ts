/** Randomness as a parameter: real in production, seeded (and therefore repeatable) in tests and simulation. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number
  bytes(count: number): Uint8Array
}

export const systemRandom: Random = {
  next: () => Math.random(),
  bytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
}

/** A small, fast generator (mulberry32): the same seed gives the same sequence on every machine. Not for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const nextUint32 = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  return {
    next: () => nextUint32() / 4_294_967_296,
    bytes(count) {
      const bytes = new Uint8Array(count)
      for (let index = 0; index < count; index++) bytes[index] = nextUint32() >>> 24
      return bytes
    },
  }
}

/** An integer in [0, bound). */
export function randomBelow(random: Random, bound: number): number {
  return Math.floor(random.next() * bound)
}
