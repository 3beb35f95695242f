/**
 * The language in which messages are described: one description serves every version and both directions, and the
 * TypeScript type is inferred from it.
 *
 *     const request = struct({
 *       acks: int16(),
 *       transactionalId: since(3, nullable(string())),
 *       topics: array(struct({ name: string() })),
 *     })
 *
 * In *flexible* versions lengths are compact (unsigned varint of length + 1, 0 = null) and each struct ends with tagged
 * fields, of which unknown ones are skipped (KIP-482). A field that a version lacks reads as its default and is left out
 * when written.
 *
 * A description is compiled once per version into plain read and write functions.
 */
import { MalformedError, type Reader } from './bytes/reader.ts'
import { Writer } from './bytes/writer.ts'
import { NULL_UUID, uuidFromBytes } from './lib/uuid.ts'

/** Reads and writes one field in one version. */
export interface FieldCodec<Out, In> {
  read(reader: Reader): Out
  write(writer: Writer, value: In): void
  /** The fewest bytes the field can take: a count that could not fit is refused before anything is allocated. */
  minBytes: number
}

export interface Field<Out, In = Out> {
  compile(version: number, flexible: boolean): FieldCodec<Out, In>
  /** What the field is made of, for whoever looks at messages field by field (test/fuzz). */
  form: Form
  /** What a reader gets in a version without this field, and what is written when the value is left out. */
  fallback: Out
  presence?: Presence
  /** Lets the inferred input type leave the key out. */
  optional?: true
}

export interface Presence {
  since: number
  until: number
  tag?: number
}

export type FixedKind = 'bool' | 'int8' | 'int16' | 'uint16' | 'int32' | 'uint32' | 'int64' | 'float64' | 'uuid'

export type Form = FixedKind | MeasuredForm | { nullable: MeasuredForm }
type MeasuredForm = 'string' | 'bytes' | 'records' | { array: AnyField } | { struct: Shape }

export type AnyField = Field<unknown, never>
type Shape = Record<string, AnyField>
export type Infer<F> = F extends Field<infer Out, never> ? Out : never
export type InferInput<F> = F extends { compile(version: number, flexible: boolean): FieldCodec<unknown, infer In> }
  ? In
  : never
type OptionalKeys<S extends Shape> = { [K in keyof S]: S[K] extends { optional: true } ? K : never }[keyof S]
export type StructOut<S extends Shape> = { [K in keyof S]: Infer<S[K]> }
export type StructIn<S extends Shape> = { [K in Exclude<keyof S, OptionalKeys<S>>]: InferInput<S[K]> } & {
  [K in OptionalKeys<S>]?: InferInput<S[K]>
}

// --- fixed-size fields -------------------------------------------------------------------------------------------

function fixed<T>(
  form: FixedKind,
  fallback: T,
  minBytes: number,
  read: (reader: Reader) => T,
  write: (writer: Writer, value: T) => void,
): Field<T> {
  const codec: FieldCodec<T, T> = { read, write, minBytes }
  return { compile: () => codec, form, fallback }
}

export const bool = () =>
  fixed(
    'bool',
    false,
    1,
    (r) => r.int8() !== 0,
    (w, value) => w.boolean(value),
  )
export const int8 = () =>
  fixed(
    'int8',
    0,
    1,
    (r) => r.int8(),
    (w, value) => w.int8(value),
  )
export const int16 = () =>
  fixed(
    'int16',
    0,
    2,
    (r) => r.int16(),
    (w, value) => w.int16(value),
  )
export const uint16 = () =>
  fixed(
    'uint16',
    0,
    2,
    (r) => r.uint16(),
    (w, value) => w.int16(value),
  )
export const int32 = () =>
  fixed(
    'int32',
    0,
    4,
    (r) => r.int32(),
    (w, value) => w.int32(value),
  )
export const uint32 = () =>
  fixed(
    'uint32',
    0,
    4,
    (r) => r.uint32(),
    (w, value) => w.uint32(value),
  )
export const int64 = () =>
  fixed(
    'int64',
    0,
    8,
    (r) => r.int64(),
    (w, value) => w.int64(value),
  )
export const float64 = () =>
  fixed(
    'float64',
    0,
    8,
    (r) => r.float64(),
    (w, value) => w.float64(value),
  )
export const uuid = () =>
  fixed(
    'uuid',
    NULL_UUID,
    16,
    (r) => uuidFromBytes(r.bytes(16)),
    (w, value) => w.uuid(value),
  )

// --- fields with a length ----------------------------------------------------------------------------------------

/** -1 for null. */
type LengthRead = (reader: Reader) => number
type LengthWrite = (writer: Writer, length: number) => void

const readCompactLength: LengthRead = (reader) => reader.uvarint() - 1
const writeCompactLength: LengthWrite = (writer, length) => writer.uvarint(length + 1)
const readInt16Length: LengthRead = (reader) => reader.int16()
const writeInt16Length: LengthWrite = (writer, length) => writer.int16(length)
const readInt32Length: LengthRead = (reader) => reader.int32()
const writeInt32Length: LengthWrite = (writer, length) => writer.int32(length)

const NULL = Symbol('null')

/** A field that knows how to be null; `nullable` shows it, everything else refuses it. */
interface NullableField<Out, In> extends Field<Out, In> {
  form: MeasuredForm
  compileNullable(version: number, flexible: boolean): FieldCodec<Out | typeof NULL, In | null>
}

function refusingNull<Out, In>(codec: FieldCodec<Out | typeof NULL, In | null>): FieldCodec<Out, In> {
  return {
    minBytes: codec.minBytes,
    write: codec.write,
    read(reader) {
      const value = codec.read(reader)
      if (value === NULL) throw new MalformedError(`null at ${reader.position}, where a value must be`)
      return value as Out
    },
  }
}

function measured<Out, In>(
  form: MeasuredForm,
  fallback: Out,
  compileNullable: NullableField<Out, In>['compileNullable'],
): NullableField<Out, In> {
  return {
    form,
    fallback,
    compileNullable,
    compile: (version, flexible) => refusingNull(compileNullable(version, flexible)),
  }
}

export const string = (): NullableField<string, string> =>
  measured('string', '', (_version, flexible) => {
    const readLength = flexible ? readCompactLength : readInt16Length
    const writeLength = flexible ? writeCompactLength : writeInt16Length
    return {
      minBytes: flexible ? 1 : 2,
      read(reader) {
        const length = readLength(reader)
        return length === -1 ? NULL : reader.utf8(length)
      },
      write(writer, value) {
        if (value === null) return writeLength(writer, -1)
        const encoded = Writer.encodeUtf8(value)
        writeLength(writer, encoded.length)
        writer.bytes(encoded)
      },
    }
  })

const EMPTY_BYTES = new Uint8Array(0)

const bytesAs = (form: 'bytes' | 'records'): NullableField<Uint8Array, Uint8Array> =>
  measured(form, EMPTY_BYTES, (_version, flexible) => {
    const readLength = flexible ? readCompactLength : readInt32Length
    const writeLength = flexible ? writeCompactLength : writeInt32Length
    return {
      minBytes: flexible ? 1 : 4,
      read(reader) {
        const length = readLength(reader)
        return length === -1 ? NULL : reader.bytes(length)
      },
      write(writer, value) {
        if (value === null) return writeLength(writer, -1)
        writeLength(writer, value.length)
        writer.bytes(value)
      },
    }
  })

/** Reads give views of the message, not copies. */
export const bytes = () => bytesAs('bytes')
/** Record batches: bytes by another name, so that a description says what they are. */
export const records = () => bytesAs('records')

export function array<Out, In>(element: Field<Out, In>): NullableField<Out[], readonly In[]> {
  return measured<Out[], readonly In[]>({ array: element }, [], (version, flexible) => {
    const codec = element.compile(version, flexible)
    const minBytes = Math.max(1, codec.minBytes)
    const readLength = flexible ? readCompactLength : readInt32Length
    const writeLength = flexible ? writeCompactLength : writeInt32Length
    return {
      minBytes: flexible ? 1 : 4,
      read(reader) {
        const count = readLength(reader)
        if (count === -1) return NULL
        if (count < 0 || count * minBytes > reader.remaining) {
          throw new MalformedError(
            `${count} elements declared at ${reader.position}, ${reader.remaining} bytes are left`,
          )
        }
        takeElements(reader, count)
        const elements: Out[] = []
        for (let index = 0; index < count; index++) elements.push(codec.read(reader))
        return elements
      },
      write(writer, value) {
        if (value === null) return writeLength(writer, -1)
        writeLength(writer, value.length)
        for (const element of value) codec.write(writer, element)
      },
    }
  })
}

/** To be called with the count of an array before its elements are read. */
function takeElements(reader: Reader, count: number): void {
  reader.elementsLeft -= count
  if (reader.elementsLeft < 0) throw new MalformedError(`too many elements: ${count} more at ${reader.position}`)
}

export function nullable<Out, In>(field: NullableField<Out, In>): Field<Out | null, In | null> & { optional: true } {
  return {
    optional: true,
    form: { nullable: field.form },
    fallback: null,
    compile(version, flexible) {
      const codec = field.compileNullable(version, flexible)
      return {
        minBytes: codec.minBytes,
        write: codec.write,
        read(reader) {
          const value = codec.read(reader)
          return value === NULL ? null : (value as Out)
        },
      }
    },
  }
}

// --- structs -----------------------------------------------------------------------------------------------------

interface Member {
  name: string
  codec: FieldCodec<unknown, never>
  fallback: unknown
}

type Struct = Record<string, unknown>

export function struct<S extends Shape>(shape: S): NullableField<StructOut<S>, StructIn<S>> {
  const fallback = Object.fromEntries(
    Object.entries(shape).map(([name, field]) => [name, field.fallback]),
  ) as StructOut<S>
  const compile = (version: number, flexible: boolean) =>
    compileStruct(shape, version, flexible) as FieldCodec<StructOut<S>, StructIn<S>>
  return {
    form: { struct: shape },
    fallback,
    compile,
    // A struct that may be null is preceded by a byte: -1 null, 1 present.
    compileNullable(version, flexible) {
      const codec = compile(version, flexible)
      return {
        minBytes: 1,
        read: (reader) => (reader.int8() < 0 ? NULL : codec.read(reader)),
        write(writer, value) {
          writer.int8(value === null ? -1 : 1)
          if (value !== null) codec.write(writer, value)
        },
      }
    },
  }
}

function compileStruct(shape: Shape, version: number, flexible: boolean): FieldCodec<Struct, Struct> {
  const inline: Member[] = []
  const tagged: Array<Member & { tag: number }> = []
  const absent: Member[] = []
  for (const [name, field] of Object.entries(shape)) {
    const { since = 0, until = Number.POSITIVE_INFINITY, tag } = field.presence ?? {}
    const member = { name, codec: field.compile(version, flexible), fallback: field.fallback }
    if (version < since || version > until || (tag !== undefined && !flexible)) absent.push(member)
    else if (tag === undefined) inline.push(member)
    else tagged.push({ ...member, tag })
  }
  tagged.sort((a, b) => a.tag - b.tag)
  // In the order of reading. Copied for each message: filling an object that has all its members is faster than adding them.
  const blank: Struct = Object.fromEntries(
    [...inline, ...tagged, ...absent].map(({ name, fallback }) => [name, fallback]),
  )
  return {
    minBytes: inline.reduce((sum, member) => sum + member.codec.minBytes, flexible ? 1 : 0),
    read(reader) {
      const value = { ...blank }
      for (const member of inline) value[member.name] = member.codec.read(reader)
      if (flexible) readTagged(reader, tagged, value)
      return value
    },
    write(writer, value) {
      for (const { name, codec, fallback } of inline) codec.write(writer, (value[name] ?? fallback) as never)
      if (flexible) writeTagged(writer, tagged, value)
    },
  }
}

function readTagged(reader: Reader, members: ReadonlyArray<Member & { tag: number }>, value: Struct): void {
  const count = reader.uvarint()
  for (let index = 0; index < count; index++) {
    const tag = reader.uvarint()
    const size = reader.uvarint()
    const member = members.find((candidate) => candidate.tag === tag)
    const end = reader.position + size
    if (end > reader.end)
      throw new MalformedError(`tagged field ${tag} declares ${size} bytes, ${reader.remaining} are left`)
    if (!member) reader.skip(size)
    else value[member.name] = member.codec.read(reader)
    if (reader.position !== end)
      throw new MalformedError(`tagged field ${tag} ends at ${reader.position}, not at ${end}`)
  }
}

function writeTagged(writer: Writer, members: ReadonlyArray<Member & { tag: number }>, value: Struct): void {
  const present = members.filter(({ name, fallback }) => value[name] !== undefined && !isSame(value[name], fallback))
  writer.uvarint(present.length)
  for (const { name, codec, tag } of present) {
    const field = new Writer(64)
    codec.write(field, value[name] as never)
    writer.uvarint(tag)
    writer.uvarint(field.length)
    writer.bytes(field.finish())
  }
}

function isSame(value: unknown, fallback: unknown): boolean {
  if (value === fallback) return true
  return Array.isArray(value) && value.length === 0 && Array.isArray(fallback) && fallback.length === 0
}

// --- which versions have a field ---------------------------------------------------------------------------------

type Optional<F> = F & { optional: true }

/** Present in versions `from` to `to`, and then `fallback` when left out. */
export function between<Out, In>(
  from: number,
  to: number,
  field: Field<Out, In>,
  fallback?: Out,
): Optional<Field<Out, In>> {
  return {
    compile: (version, flexible) => field.compile(version, flexible),
    form: field.form,
    fallback: fallback === undefined ? field.fallback : fallback,
    presence: { ...field.presence, since: from, until: to },
    optional: true,
  }
}

export const since = <Out, In>(version: number, field: Field<Out, In>, fallback?: Out): Optional<Field<Out, In>> =>
  between(version, Number.POSITIVE_INFINITY, field, fallback)
export const until = <Out, In>(version: number, field: Field<Out, In>, fallback?: Out): Optional<Field<Out, In>> =>
  between(0, version, field, fallback)
/** Present in every version; `fallback` when left out. */
export const withDefault = <Out, In>(fallback: Out, field: Field<Out, In>): Optional<Field<Out, In>> =>
  since(0, field, fallback)

/** In the tag section of flexible versions from `from` on; written only when it differs from its fallback. */
export function tagged<Out, In>(
  tag: number,
  from: number,
  field: Field<Out, In>,
  fallback?: Out,
): Optional<Field<Out, In>> {
  const optional = since(from, field, fallback)
  return { ...optional, presence: { since: from, until: Number.POSITIVE_INFINITY, tag } }
}
