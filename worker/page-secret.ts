/**
 * The secret that a page, or a seat that waits for the lead, opens a replica with, kept up to date: another tab may change it,
 * and this one may have to open the replica. Who had another secret than the one that was changed does not get the new one.
 */
import type { Core } from '../client/core.ts'
import type { Secret, SecretChange } from '../client/replica/sealed/encryption.ts'
import type { CoreConfig } from './contract.ts'

export const secretChannelName = (replica: string): string => `ottla/secret/${replica}`

/** The configuration is read at each join, and what it says of encryption is changed in place. */
export function followSecret(core: Pick<Core, 'onStatus'>, config: CoreConfig): void {
  const channel = new BroadcastChannel(secretChannelName(config.replica))
  channel.onmessage = ({ data }: MessageEvent<SecretChange>) => takeOn(config, data)
  const unlisten = core.onStatus(({ state }) => {
    if (state !== 'closed') return
    channel.close()
    unlisten()
  })
}

export function takeOn({ options }: CoreConfig, { from, to }: SecretChange): void {
  const { encryption } = options as { encryption?: { secret?: Secret } }
  if (encryption?.secret === undefined || !isSame(encryption.secret, from)) return
  Object.assign(options, { encryption: { secret: to } })
}

const isSame = (one: Secret, other: Secret) => typeof one === typeof other && `${one}` === `${other}`
