/**
 * A message as a tree of its fields, read by the description in protocol/schema.ts but not by its codec: what the codec
 * writes must be readable here. Every length, count and size can be made to lie, because it is kept apart from what it
 * measures: `lie` is written in its place.
 */
import { MalformedError, Reader } from '../../protocol/bytes/reader.ts'
import { Writer } from '../../protocol/bytes/writer.ts'
import type { AnyField, FixedKind, Form } from '../../protocol/schema.ts'

export type Prefix = 'int16' | 'int32' | 'compact'

export interface FixedNode {
  kind: FixedKind
  name: string
  bytes: Uint8Array
}

/** A string, bytes or record batches: a length and that many bytes; null when the length says so. */
export interface TextNode {
  kind: 'string' | 'bytes' | 'records'
  name: string
  prefix: Prefix
  content: Uint8Array | null
  lie?: Uint8Array
}

export interface ArrayNode {
  kind: 'array'
  name: string
  prefix: Prefix
  elements: Node[] | null
  lie?: Uint8Array
}

export interface Tag {
  tag: number
  /** Null when the tag is not described; then `content` is its value. */
  node: Node | null
  content: Uint8Array
  lie?: Uint8Array
}

export interface StructNode {
  kind: 'struct'
  name: string
  /** Of a struct that may be null: the byte that says whether it is there. */
  presence: number | undefined
  members: Node[]
  /** Undefined in versions that are not flexible. */
  tags: Tag[] | undefined
  /** Instead of the number of tags. */
  lie?: Uint8Array
}

export type Node = FixedNode | TextNode | ArrayNode | StructNode

/** What has a length, count or size in front. */
export type MeasuredNode = TextNode | ArrayNode | StructNode | Tag

export const FIXED_BYTES: Readonly<Record<FixedKind, number>> = {
  bool: 1,
  int8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  float64: 8,
  uuid: 16,
}

/** The members that a struct has in a version, tagged ones apart, in the order in which they are written. */
export function membersOf(shape: Record<string, AnyField>, version: number, flexible: boolean) {
  const inline: Array<[name: string, field: AnyField]> = []
  const tagged: Array<[tag: number, name: string, field: AnyField]> = []
  for (const [name, field] of Object.entries(shape)) {
    const { since = 0, until = Number.POSITIVE_INFINITY, tag } = field.presence ?? {}
    if (version < since || version > until) continue
    if (tag === undefined) inline.push([name, field])
    else if (flexible) tagged.push([tag, name, field])
  }
  tagged.sort(([a], [b]) => a - b)
  return { inline, tagged }
}

export function prefixOf(kind: 'string' | 'bytes' | 'records' | 'array', flexible: boolean): Prefix {
  return flexible ? 'compact' : kind === 'string' ? 'int16' : 'int32'
}

// --- bytes to tree -----------------------------------------------------------------------------------------------

/** Throws MalformedError. */
export function readNode(form: Form, name: string, version: number, flexible: boolean, reader: Reader): Node {
  const isNullable = typeof form === 'object' && 'nullable' in form
  const inner = isNullable ? form.nullable : form
  if (typeof inner === 'object' && 'struct' in inner) {
    const presence = isNullable ? reader.int8() : undefined
    if (presence !== undefined && presence < 0)
      return { kind: 'struct', name, presence, members: [], tags: flexible ? [] : undefined }
    return { ...readStruct(inner.struct, name, version, flexible, reader), presence }
  }
  if (typeof inner === 'object') return readArray(inner.array, name, version, flexible, reader)
  if (inner === 'string' || inner === 'bytes' || inner === 'records') {
    const prefix = prefixOf(inner, flexible)
    const length = readLength(prefix, reader)
    return { kind: inner, name, prefix, content: length === -1 ? null : reader.bytes(length).slice() }
  }
  return { kind: inner, name, bytes: reader.bytes(FIXED_BYTES[inner]).slice() }
}

function readArray(element: AnyField, name: string, version: number, flexible: boolean, reader: Reader): ArrayNode {
  const prefix = prefixOf('array', flexible)
  const count = readLength(prefix, reader)
  if (count === -1) return { kind: 'array', name, prefix, elements: null }
  if (count < 0 || count > reader.remaining) throw new MalformedError(`${count} elements of ${name}`)
  const elements = Array.from({ length: count }, () => readNode(element.form, name, version, flexible, reader))
  return { kind: 'array', name, prefix, elements }
}

function readStruct(
  shape: Record<string, AnyField>,
  name: string,
  version: number,
  flexible: boolean,
  reader: Reader,
): StructNode {
  const { inline, tagged } = membersOf(shape, version, flexible)
  const members = inline.map(([member, { form }]) => readNode(form, member, version, flexible, reader))
  if (!flexible) return { kind: 'struct', name, presence: undefined, members, tags: undefined }
  const tags: Tag[] = []
  const count = reader.uvarint()
  for (let index = 0; index < count; index++) {
    const tag = reader.uvarint()
    const content = reader.bytes(reader.uvarint()).slice()
    const described = tagged.find(([known]) => known === tag)
    const node = described ? readNode(described[2].form, described[1], version, true, new Reader(content)) : null
    tags.push({ tag, node, content })
  }
  return { kind: 'struct', name, presence: undefined, members, tags }
}

function readLength(prefix: Prefix, reader: Reader): number {
  if (prefix === 'compact') return reader.uvarint() - 1
  return prefix === 'int16' ? reader.int16() : reader.int32()
}

// --- tree to bytes -----------------------------------------------------------------------------------------------

export function writeNode(node: Node, writer: Writer): void {
  switch (node.kind) {
    case 'string':
    case 'bytes':
    case 'records':
      writeLength(writer, node.prefix, node.lie, node.content?.length ?? -1)
      if (node.content) writer.bytes(node.content)
      return
    case 'array':
      writeLength(writer, node.prefix, node.lie, node.elements?.length ?? -1)
      for (const element of node.elements ?? []) writeNode(element, writer)
      return
    case 'struct':
      return writeStruct(node, writer)
    default:
      writer.bytes(node.bytes)
  }
}

function writeStruct({ presence, members, tags, lie }: StructNode, writer: Writer): void {
  if (presence !== undefined) writer.int8(presence)
  if (presence !== undefined && presence < 0 && members.length === 0) return
  for (const member of members) writeNode(member, writer)
  if (!tags) return
  if (lie) writer.bytes(lie)
  else writer.uvarint(tags.length)
  for (const each of tags) {
    const content = each.node ? bytesOf(each.node) : each.content
    writer.uvarint(each.tag)
    if (each.lie) writer.bytes(each.lie)
    else writer.uvarint(content.length)
    writer.bytes(content)
  }
}

export function bytesOf(node: Node): Uint8Array {
  const writer = new Writer(256)
  writeNode(node, writer)
  return writer.finish()
}

function writeLength(writer: Writer, prefix: Prefix, lie: Uint8Array | undefined, length: number): void {
  if (lie) return writer.bytes(lie)
  if (prefix === 'compact') writer.uvarint(length + 1)
  else if (prefix === 'int16') writer.int16(length)
  else writer.int32(length)
}

// --- walking -----------------------------------------------------------------------------------------------------

/** Every node, and every tag, from the top down. */
export function* nodesIn(node: Node): Generator<Node> {
  yield node
  if (node.kind === 'array') for (const element of node.elements ?? []) yield* nodesIn(element)
  if (node.kind !== 'struct') return
  for (const member of node.members) yield* nodesIn(member)
  for (const { node: inner } of node.tags ?? []) if (inner) yield* nodesIn(inner)
}

export function* measuredIn(node: Node): Generator<MeasuredNode> {
  for (const each of nodesIn(node)) {
    if (each.kind === 'struct') {
      if (each.tags) yield each
      yield* each.tags ?? []
    } else if ('prefix' in each) yield each
  }
}

export function copyOf<T extends Node>(node: T): T {
  return structuredClone(node)
}
