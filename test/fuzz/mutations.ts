/**
 * Valid messages made bad where it matters: lengths that lie, values at the edges of their types, nulls, elements twice
 * or in another order, tags, fields of one message in another, record batches, and bytes cut or changed anywhere.
 */
import { concatenate } from '../../protocol/compression.ts'
import { mutatedBatches } from './batches.ts'
import type { Draw } from './draw.ts'
import { edgeOf, extremeLengths, nudged } from './integers.ts'
import { AWKWARD_TEXTS, type KnownValues } from './known-values.ts'
import {
  type ArrayNode,
  type FixedNode,
  type MeasuredNode,
  measuredIn,
  type Node,
  nodesIn,
  type StructNode,
  type Tag,
  type TextNode,
} from './wire-tree.ts'

export interface MutationSources {
  draw: Draw
  known: KnownValues
  /** Another message, to take fields from. */
  other: () => Node | undefined
}

/** Elements that one mutation may add; two of them may be nested. */
const COPIES_MAX = 300

/** Changes the tree in place, at one place. */
export function mutateTree(root: Node, sources: MutationSources): void {
  const { draw } = sources
  const kind = draw.below(10)
  if (kind < 2) return lie(root, draw)
  if (kind === 2) return mutateTags(root, draw)
  const nodes = [...nodesIn(root)]
  if (kind === 3) return splice(nodes, sources)
  // The root is a struct that nothing can be done to.
  const node = draw.from(nodes)
  if (node.kind === 'array') mutateArray(node, draw)
  else if (node.kind === 'struct') mutateStruct(node, draw)
  else if ('bytes' in node) mutateFixed(node, sources)
  else mutateText(node, sources)
}

function lie(root: Node, draw: Draw): void {
  const measured = [...measuredIn(root)]
  if (measured.length === 0) return
  const node = draw.from(measured)
  node.lie = draw.from(liesFor(node))
}

/** All lengths that this field is tried with. */
export function liesFor(node: MeasuredNode): Uint8Array[] {
  if (!('kind' in node)) return extremeLengths('compact', node.content.length)
  if (node.kind === 'struct') return extremeLengths('compact', node.tags?.length ?? 0)
  const length = (node.kind === 'array' ? node.elements?.length : node.content?.length) ?? -1
  return extremeLengths(node.prefix, length)
}

function mutateFixed(node: FixedNode, { draw, known }: MutationSources): void {
  const sizeBytes = node.bytes.length
  const pick = known.pick(node.name, sizeBytes, draw)
  const choice = draw.below(4)
  if (choice === 0 && pick) node.bytes = pick.slice()
  else if (choice === 1) node.bytes = nudged(node.bytes, draw.below(5) - 2)
  else node.bytes = edgeOf(sizeBytes, draw)
}

function mutateText(node: TextNode, { draw, known }: MutationSources): void {
  if (node.kind === 'records' && node.content && draw.chance(0.8)) {
    node.content = mutatedBatches(node.content, draw)
    return
  }
  const pick = known.pick(node.name, 'text', draw)
  const content = node.content ?? new Uint8Array(0)
  switch (draw.below(6)) {
    case 0:
      node.content = null
      return
    case 1:
      node.content = pick ?? null
      return
    case 2:
      node.content = Buffer.from(draw.from(AWKWARD_TEXTS))
      return
    case 3:
      node.content = withChangedBytes(content, draw)
      return
    case 4:
      node.content = content.slice(0, draw.below(content.length + 1))
      return
    default:
      // Integers inside opaque bytes: counts of an embedded protocol.
      node.content = withEdge(content, draw)
  }
}

function mutateArray(node: ArrayNode, draw: Draw): void {
  const { elements } = node
  if (!elements) {
    node.elements = []
    return
  }
  const one = elements[draw.below(elements.length)]
  switch (draw.below(6)) {
    case 0:
      node.elements = null
      return
    case 1:
      node.elements = []
      return
    case 2:
      elements.reverse()
      return
    case 3:
      if (one) elements.splice(elements.indexOf(one), 1)
      return
    case 4:
      if (one) elements.push(one)
      return
    default:
      // The same node again and again: nothing is copied, it is only written more than once.
      if (one) for (let copies = draw.few(COPIES_MAX); copies > 0; copies--) elements.push(one)
  }
}

function mutateStruct(node: StructNode, draw: Draw): void {
  const { members } = node
  if (node.presence !== undefined && draw.chance(0.5)) {
    node.presence = draw.from([-1, 0, 1, 127, -128])
    return
  }
  if (members.length === 0) return
  const at = draw.below(members.length)
  const member = members[at]!
  switch (draw.below(3)) {
    case 0:
      members.splice(at, 1)
      return
    case 1:
      members.splice(draw.below(members.length), 0, member)
      return
    default:
      members.splice(at, 1)
      members.splice(draw.below(members.length + 1), 0, member)
  }
}

function mutateTags(root: Node, draw: Draw): void {
  const structs = [...nodesIn(root)].filter((node): node is StructNode => node.kind === 'struct' && !!node.tags)
  if (structs.length === 0) return
  const { tags } = draw.from(structs) as StructNode & { tags: Tag[] }
  const tag = draw.chance(0.5) ? draw.below(6) : draw.from([0, 127, 128, 0x7fff_ffff, 0xffff_ffff])
  const unknown: Tag = { tag, node: null, content: draw.random.bytes(draw.few(40)) }
  switch (draw.below(4)) {
    case 0:
      tags.push(unknown)
      return
    case 1:
      tags.unshift(unknown)
      return
    case 2:
      for (let count = draw.few(COPIES_MAX); count > 0; count--) tags.push(unknown)
      return
    default:
      if (tags.length > 0) tags.push(draw.from(tags))
      else tags.push(unknown)
  }
}

/** A field, or a whole part, of another message in the place of one of the same kind, or of any. */
function splice(nodes: readonly Node[], { draw, other }: MutationSources): void {
  const target = draw.from(nodes)
  const donor = other()
  if (!donor) return
  const all = [...nodesIn(donor)]
  const alike = all.filter(({ kind, name }) => kind === target.kind && (name === target.name || draw.chance(0.3)))
  const taken = draw.from(alike.length > 0 && draw.chance(0.8) ? alike : all)
  if (taken.kind === 'struct' && taken.members.includes(target)) return
  Object.assign(target, { ...taken, name: target.name })
}

// --- bytes -------------------------------------------------------------------------------------------------------

export function mutateBytes(bytes: Uint8Array, draw: Draw): Uint8Array {
  switch (draw.below(6)) {
    case 0:
      return bytes.slice(0, draw.below(bytes.length + 1))
    case 1:
      return concatenate([bytes, draw.random.bytes(1 + draw.few(100))])
    case 2: {
      const at = draw.below(bytes.length + 1)
      return concatenate([bytes.subarray(0, at), draw.random.bytes(1 + draw.few(16)), bytes.subarray(at)])
    }
    case 3: {
      const at = draw.below(bytes.length + 1)
      return concatenate([bytes.subarray(0, at), bytes.subarray(at + 1 + draw.few(16))])
    }
    case 4:
      return withEdge(bytes, draw)
    default:
      return withChangedBytes(bytes, draw)
  }
}

function withChangedBytes(bytes: Uint8Array, draw: Draw): Uint8Array {
  const changed = bytes.slice()
  if (changed.length === 0) return draw.random.bytes(1 + draw.few(20))
  for (let count = 1 + draw.few(3); count > 0; count--) {
    const at = draw.below(changed.length)
    changed[at] = draw.chance(0.5) ? changed[at]! ^ (1 << draw.below(8)) : draw.below(256)
  }
  return changed
}

function withEdge(bytes: Uint8Array, draw: Draw): Uint8Array {
  const changed = bytes.slice()
  const sizeBytes = draw.from([1, 2, 4, 8])
  if (changed.length >= sizeBytes) changed.set(edgeOf(sizeBytes, draw), draw.below(changed.length - sizeBytes + 1))
  return changed
}
