/** Valid requests of any API and version, made from its description. */
import type { AnyApi } from '../../protocol/api.ts'
import type { AnyField, Form } from '../../protocol/schema.ts'
import { randomBatch } from './batches.ts'
import type { Draw } from './draw.ts'
import { numberBytes } from './integers.ts'
import type { KnownValues } from './known-values.ts'
import { headerOf, type RequestTree } from './request-tree.ts'
import { FIXED_BYTES, membersOf, type Node, prefixOf, type StructNode } from './wire-tree.ts'

/** A transaction is an exception. */
const NULL_CHANCE: Readonly<Record<string, number>> = { transactionalId: 0.7 }

export interface GenerateOptions {
  draw: Draw
  known: KnownValues
  /** Nothing is null or empty and every tag is there: all that has a length is in the message. */
  complete?: boolean
}

export function generateRequest(api: AnyApi, version: number, options: GenerateOptions): RequestTree {
  const isFlexible = version >= api.flexibleFrom
  const body = generateNode(api.request.field.form, api.name, version, isFlexible, options)
  return { api, version, header: headerOf(api, version), body }
}

export function generateNode(
  form: Form,
  name: string,
  version: number,
  flexible: boolean,
  options: GenerateOptions,
): Node {
  const { draw, known, complete = false } = options
  const isNullable = typeof form === 'object' && 'nullable' in form
  const inner = isNullable ? form.nullable : form
  const isNull = isNullable && !complete && draw.chance(NULL_CHANCE[name] ?? 0.3)
  if (typeof inner === 'object' && 'struct' in inner) {
    const presence = isNullable ? (isNull ? -1 : 1) : undefined
    if (isNull) return { kind: 'struct', name, presence, members: [], tags: flexible ? [] : undefined }
    return { ...generateStruct(inner.struct, name, version, flexible, options), presence }
  }
  if (typeof inner === 'object') {
    const count = complete ? 2 : draw.chance(0.8) ? 1 : draw.below(4)
    const elements = isNull
      ? null
      : Array.from({ length: count }, () => generateNode(inner.array.form, name, version, flexible, options))
    return { kind: 'array', name, prefix: prefixOf('array', flexible), elements }
  }
  if (inner === 'string' || inner === 'bytes' || inner === 'records') {
    const content = inner === 'records' ? randomBatch(draw, known) : textFor(name, options)
    return { kind: inner, name, prefix: prefixOf(inner, flexible), content: isNull ? null : content }
  }
  const sizeBytes = FIXED_BYTES[inner]
  const bytes = known.pick(name, sizeBytes, draw) ?? numberBytes(draw.below(4) - (draw.chance(0.2) ? 1 : 0), sizeBytes)
  return { kind: inner, name, bytes: bytes.slice() }
}

function generateStruct(
  shape: Record<string, AnyField>,
  name: string,
  version: number,
  flexible: boolean,
  options: GenerateOptions,
): StructNode {
  const { inline, tagged } = membersOf(shape, version, flexible)
  const node = (member: string, form: Form) => generateNode(form, member, version, flexible, options)
  return {
    kind: 'struct',
    name,
    presence: undefined,
    members: inline.map(([member, field]) => node(member, field.form)),
    tags: flexible
      ? tagged
          .filter(() => options.complete || options.draw.chance(0.5))
          .map(([tag, member, { form }]) => ({ tag, node: node(member, form), content: new Uint8Array(0) }))
      : undefined,
  }
}

function textFor(name: string, { draw, known }: GenerateOptions): Uint8Array {
  return (known.pick(name, 'text', draw) ?? Buffer.from(`v${draw.below(4)}`)).slice()
}
