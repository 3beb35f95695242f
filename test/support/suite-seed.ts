/**
 * The seed of a test that draws. The suite draws the same each time, so that it is a change that turns it red, and not luck;
 * the long runs (`npm run test:fuzz` and the like) set OTTLA_SEED=random, and print what they drew.
 */
export function suiteSeed(variable = 'OTTLA_SEED'): number {
  const asked = process.env[variable] ?? process.env.OTTLA_SEED ?? '1'
  return asked === 'random' ? Date.now() % 1_000_000 : Number(asked)
}
