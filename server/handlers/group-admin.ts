/**
 * DescribeGroups 0-6, ListGroups 0-5, DeleteGroups 0-2.
 *
 * A group of which nothing is known is Dead before DescribeGroups 6 and GROUP_ID_NOT_FOUND from there on. Groups that a
 * client may not describe are not listed to it.
 */
import type { ResponseInputOf } from '../../protocol/api.ts'
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import { deleteGroups, describeGroups, listGroups } from '../../protocol/messages/group-admin.ts'
import type { Operation } from '../authorizer.ts'
import { metadataFor, NO_ASSIGNMENT } from '../coordinator/group-member.ts'
import type { Group } from '../coordinator/held-group.ts'
import { entry, type RequestContext } from '../handler.ts'
import { groupError } from './group-access.ts'

type Described = ResponseInputOf<typeof describeGroups>['groups'][number]

const NOT_FOUND_FROM = 6
const GROUP_TYPE = 'classic'
/** Bits are Kafka's operation codes. */
const OPERATION_BITS: ReadonlyArray<[Operation, number]> = [
  ['read', 3],
  ['delete', 6],
  ['describe', 8],
]
const OPERATIONS_NOT_ASKED_FOR = -2_147_483_648

export const describeGroupsHandler = entry(describeGroups, 'each', (request, context) => ({
  // Each once: a group's description can be a million times as long as its name.
  groups: [...new Set(request.groups)].map((groupId) => {
    const described = describeOne(groupId, context)
    const isAsked = request.includeAuthorizedOperations && described.errorCode === ErrorCode.NONE
    return { ...described, authorizedOperations: isAsked ? allowed(groupId, context) : OPERATIONS_NOT_ASKED_FOR }
  }),
}))

function describeOne(groupId: string, context: RequestContext): Described {
  const errorCode = groupError(context, 'describe', groupId)
  if (errorCode !== ErrorCode.NONE) return undescribed(groupId, errorCode, '')
  try {
    const group = context.services.groups.group(groupId)
    if (group) return describe(group)
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return undescribed(groupId, error.code, '')
  }
  return context.apiVersion >= NOT_FOUND_FROM
    ? { ...undescribed(groupId, ErrorCode.GROUP_ID_NOT_FOUND, 'Dead'), errorMessage: `there is no group ${groupId}` }
    : undescribed(groupId, ErrorCode.NONE, 'Dead')
}

function describe({ classic }: Group): Described {
  const isStable = classic.phase === 'Stable'
  return {
    errorCode: ErrorCode.NONE,
    errorMessage: null,
    groupId: classic.groupId,
    groupState: classic.phase,
    protocolType: classic.protocolType ?? '',
    protocolData: isStable ? (classic.protocolName ?? '') : '',
    members: [...classic.members].map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      memberMetadata: isStable ? metadataFor(member, classic.protocolName) : NO_ASSIGNMENT,
      memberAssignment: isStable ? member.assignment : NO_ASSIGNMENT,
    })),
  }
}

function undescribed(groupId: string, errorCode: number, groupState: string): Described {
  return { errorCode, errorMessage: null, groupId, groupState, protocolType: '', protocolData: '', members: [] }
}

function allowed(groupId: string, context: RequestContext): number {
  let bits = 0
  for (const [operation, bit] of OPERATION_BITS) {
    if (context.allows(operation, { type: 'group', name: groupId })) bits |= 1 << bit
  }
  return bits
}

export const listGroupsHandler = entry(listGroups, 'each', ({ statesFilter, typesFilter }, context) => {
  const states = new Set(statesFilter.map((state) => state.toLowerCase()))
  const types = new Set(typesFilter.map((type) => type.toLowerCase()))
  if (types.size > 0 && !types.has(GROUP_TYPE)) return { errorCode: ErrorCode.NONE, groups: [] }
  try {
    const listed = [...context.services.groups.groups()].filter(
      ({ classic }) =>
        (states.size === 0 || states.has(classic.phase.toLowerCase())) &&
        groupError(context, 'describe', classic.groupId) === ErrorCode.NONE,
    )
    const groups = listed.map(({ classic }) => ({
      groupId: classic.groupId,
      protocolType: classic.protocolType ?? '',
      groupState: classic.phase,
      groupType: GROUP_TYPE,
    }))
    return { errorCode: ErrorCode.NONE, groups }
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return { errorCode: error.code, groups: [] }
  }
})

export const deleteGroupsHandler = entry(deleteGroups, 'each', async (request, context) => ({
  results: await Promise.all(
    request.groupsNames.map(async (groupId) => ({ groupId, errorCode: await deleteOne(groupId, context) })),
  ),
}))

async function deleteOne(groupId: string, context: RequestContext): Promise<number> {
  const errorCode = groupError(context, 'delete', groupId)
  if (errorCode !== ErrorCode.NONE) return errorCode
  try {
    await context.services.groups.deleteGroup(groupId)
    return ErrorCode.NONE
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return error.code
  }
}
