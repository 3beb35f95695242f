/**
 * How long the group waits for a silent member: its own setting, which members of the consumer protocol are not told.
 * Undefined where it cannot be known, or may not.
 */
import { describeConfigs } from '../../protocol/messages/configs.ts'
import type { Session } from '../session.ts'

const GROUP_RESOURCE = 32
const SESSION_TIMEOUT = 'consumer.session.timeout.ms'

export async function groupSessionTimeoutMs(session: Session, groupId: string): Promise<number | undefined> {
  const asked = { resourceType: GROUP_RESOURCE, resourceName: groupId, configurationKeys: [SESSION_TIMEOUT] }
  const answer = await session
    .call(describeConfigs, { resources: [asked], includeSynonyms: false, includeDocumentation: false })
    .catch(() => undefined)
  const value = Number(answer?.results[0]?.configs.find(({ name }) => name === SESSION_TIMEOUT)?.value)
  return value > 0 ? value : undefined
}
