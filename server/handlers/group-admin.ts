/**
 * DescribeGroups 0-6, ListGroups 0-5, DeleteGroups 0-2.
 *
 * A group of which nothing is known is Dead before DescribeGroups 6 and GROUP_ID_NOT_FOUND from there on. Groups that a
 * client may not describe are not listed to it. Groups of the next protocol are listed with the others, and described by
 * ConsumerGroupDescribe only.
 */
import type { ResponseInputOf } from '../../protocol/api.ts'
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import { deleteGroups, describeGroups, listGroups } from '../../protocol/messages/group-admin.ts'
import type { ClassicGroup } from '../coordinator/classic-group.ts'
import { metadataFor, NO_ASSIGNMENT } from '../coordinator/group-member.ts'
import type { Group } from '../coordinator/held-group.ts'
import { entry, type RequestContext } from '../handler.ts'
import { allowedOperations, groupError } from './group-access.ts'

type Described = ResponseInputOf<typeof describeGroups>['groups'][number]

const NOT_FOUND_FROM = 6
export const describeGroupsHandler = entry(describeGroups, 'each', (request, context) => ({
  // Each once: a group's description can be a million times as long as its name.
  groups: [...new Set(request.groups)].map((groupId) => {
    const described = describeOne(groupId, context)
    const isAsked = request.includeAuthorizedOperations && described.errorCode === ErrorCode.NONE
    return { ...described, authorizedOperations: allowedOperations(groupId, context, isAsked) }
  }),
}))

function describeOne(groupId: string, context: RequestContext): Described {
  const errorCode = groupError(context, 'describe', groupId)
  if (errorCode !== ErrorCode.NONE) return undescribed(groupId, errorCode, '')
  try {
    const machine = context.services.groups.group(groupId)?.machine
    if (machine?.type === 'classic') return describe(machine)
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return undescribed(groupId, error.code, '')
  }
  return context.apiVersion >= NOT_FOUND_FROM
    ? {
        ...undescribed(groupId, ErrorCode.GROUP_ID_NOT_FOUND, 'Dead'),
        errorMessage: `there is no classic group ${groupId}`,
      }
    : undescribed(groupId, ErrorCode.NONE, 'Dead')
}

function describe(classic: ClassicGroup): Described {
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

export const listGroupsHandler = entry(listGroups, 'each', ({ statesFilter, typesFilter }, context) => {
  const states = new Set(statesFilter.map((state) => state.toLowerCase()))
  const types = new Set(typesFilter.map((type) => type.toLowerCase()))
  try {
    const isListed = ({ groupId, groupState, groupType }: Listed) =>
      (types.size === 0 || types.has(groupType)) &&
      (states.size === 0 || states.has(groupState.toLowerCase())) &&
      groupError(context, 'describe', groupId) === ErrorCode.NONE
    const groups = context.services.groups.groups().map(listedAs).filter(isListed)
    return { errorCode: ErrorCode.NONE, groups }
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return { errorCode: error.code, groups: [] }
  }
})

type Listed = ReturnType<typeof listedAs>

function listedAs({ machine }: Group) {
  const { groupId, protocolType, phase, type } = machine
  return { groupId, protocolType: protocolType ?? '', groupState: phase, groupType: type }
}

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
