/** DescribeClientQuotas, AlterClientQuotas, 0-1. There are no quotas: none are listed, and none can be set. */
import { ErrorCode } from '../../protocol/errors.ts'
import { alterClientQuotas, describeClientQuotas } from '../../protocol/messages/quotas.ts'
import { entry } from '../handler.ts'

export const describeClientQuotasHandler = entry(describeClientQuotas, 'each', (_request, context) =>
  context.allows('describe-configs', { type: 'cluster' })
    ? { errorCode: ErrorCode.NONE, errorMessage: null, entries: [] }
    : {
        errorCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
        errorMessage: 'not allowed to describe quotas',
        entries: null,
      },
)

export const alterClientQuotasHandler = entry(alterClientQuotas, 'none', ({ entries }) => ({
  entries: entries.map(({ entity }) => ({
    errorCode: ErrorCode.UNSUPPORTED_VERSION,
    errorMessage: 'this relay has no quotas for users and clients',
    entity,
  })),
}))
