/**
 * Values to bytes and back. A null key or value never reaches a serde: it is null on both sides (a tombstone).
 *
 * A serde throws whatever it likes; the topic wraps it into INVALID_VALUE with topic, partition and offset.
 */
export interface Serde<T> {
  encode(value: T): Uint8Array
  /** `bytes` is a view of a larger buffer: copy it if it is to be kept long. */
  decode(bytes: Uint8Array): T
}

const encoder = /* @__PURE__ */ new TextEncoder()
const decoder = /* @__PURE__ */ new TextDecoder()

/** UTF-8. Bytes that are none come out as U+FFFD. */
export const string: Serde<string> = {
  encode: (value) => encoder.encode(value),
  decode: (bytes) => decoder.decode(bytes),
}

/** As they are. */
export const bytes: Serde<Uint8Array> = {
  encode: (value) => value,
  decode: (view) => view,
}

/** JSON text. `T` is a promise of the caller's, nothing checks it; see `schema` for a serde that does. */
export function json<T>(): Serde<T> {
  return {
    encode(value) {
      const text = JSON.stringify(value)
      if (text === undefined) throw new TypeError(`${typeof value} has no form in JSON`)
      return encoder.encode(text)
    },
    decode: (view) => JSON.parse(decoder.decode(view)) as T,
  }
}

/** The part that is used of a Standard Schema (standardschema.dev, version 1): zod, valibot, arktype and others. */
export interface StandardSchema<Input, Output> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    validate(value: unknown): StandardResult<Output> | Promise<StandardResult<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: ReadonlyArray<StandardIssue> }

export interface StandardIssue {
  readonly message: string
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined
}

/**
 * JSON that a schema has checked: before it is sent, and again when it is read, since others write to the topic too.
 * What a reader gets is the schema's output; what is sent is the input as given. Validators that answer with a promise
 * are refused: encoding happens within `send`.
 */
export function schema<Input, Output>(standard: StandardSchema<Input, Output>): Serde<Input & Output> {
  const inner = json<unknown>()
  const check = (value: unknown): Output => {
    const result = standard['~standard'].validate(value)
    if (result instanceof Promise) {
      result.catch(() => {})
      throw new TypeError('the schema validates asynchronously; use a synchronous one')
    }
    if (result.issues) throw new TypeError(result.issues.map(describeIssue).join('; '))
    return result.value
  }
  return {
    encode(value) {
      check(value)
      return inner.encode(value)
    },
    decode: (view) => check(inner.decode(view)) as Input & Output,
  }
}

function describeIssue({ message, path = [] }: StandardIssue): string {
  const where = path.map((step) => String(typeof step === 'object' ? step.key : step)).join('.')
  return where ? `${where}: ${message}` : message
}
