/** Live readers' connections of a page whose core is elsewhere: all are the page's own, so all end with the client. */
import { Lanes } from '../client/consumer/lanes.ts'

export class PageLanes extends Lanes {
  override async close(): Promise<void> {
    await super.close()
    await this.main.close()
  }
}
