/** Channels, loaded by a page when it opens its first one. */
import type { Random } from '../../protocol/lib/random.ts'
import { randomUuid } from '../../protocol/lib/uuid.ts'
import { OttlaError } from '../errors.ts'
import { onPageHide } from '../page-hide.ts'
import { json } from '../serde.ts'
import { Channel, type ChannelOptions, type ChannelParts } from './channel.ts'

const NAME_LENGTH_MAX = 512

export function openChannel<S, M>(
  parts: Pick<ChannelParts, 'core' | 'clock' | 'onClose'> & { random: Random },
  at: { topic: string; name: string },
  options: ChannelOptions<S, M>,
): Channel<S, M> {
  if (at.name.length === 0 || at.name.length > NAME_LENGTH_MAX)
    throw new OttlaError('INVALID_ARGUMENT', { message: `a channel's name has 1 to ${NAME_LENGTH_MAX} characters` })
  const { state = null, stateSerde = json<S>(), messageSerde = json<M>() } = options
  const { random, ...rest } = parts
  const handle = randomUuid(random)
  return new Channel<S, M>({ ...rest, handle, onPageHide }, at, { state, stateSerde, messageSerde })
}
