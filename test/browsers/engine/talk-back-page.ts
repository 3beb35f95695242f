/**
 * The page's end of talk-back: a script that comes first in every test page. It tells the test which tab this is, runs what
 * it is sent, and reports errors that nobody caught.
 *
 * A page that is to be kept in the back/forward cache must hold no socket, so it hangs up before it leaves, and calls again
 * when it is shown.
 */
export const TALK_BACK_SCRIPT = `(() => {
  let socket
  let waiting = []
  const say = (message) => {
    if (socket?.readyState === 1) socket.send(JSON.stringify(message))
    else waiting.push(message)
  }
  const answer = async (message) => {
    const { call } = message
    try {
      say({ call, value: await run(message) })
    } catch (error) {
      say({ call, error: String(error) + '\\n' + (error?.stack ?? '') })
    }
  }
  const run = ({ act, argument }) => (0, eval)('(' + act + ')')(argument)
  const leave = (message) => {
    socket.onclose = () => run(message)
    socket.close()
  }
  const dial = () => {
    socket = new WebSocket('ws://' + location.host + '/talk-back')
    socket.onopen = () => {
      socket.send(JSON.stringify({ tab: window.name, url: location.href }))
      for (const message of waiting.splice(0)) say(message)
    }
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data)
      if (message.leave) leave(message)
      else void answer(message)
    }
  }
  window.tellTest = (note) => say({ note })
  addEventListener('error', (event) => say({ trouble: event.message + ' ' + (event.error?.stack ?? '') }))
  addEventListener('unhandledrejection', ({ reason }) => say({ trouble: 'unhandled: ' + reason + ' ' + (reason?.stack ?? '') }))
  addEventListener('pagehide', () => socket.close())
  addEventListener('pageshow', (event) => event.persisted && dial())
  dial()
})()`

/** A new tab begins here: it learns its name, which it keeps for as long as it lives, and goes where it should. */
export const ENTRY_PAGE = `<!doctype html><title>entry</title><link rel="icon" href="data:,"><script>
const parameters = new URLSearchParams(location.search)
window.name = parameters.get('name')
location.replace(parameters.get('to'))
</script>`

/** The first tab of a browser. It opens the others. */
export const DESK_PAGE = `<!doctype html><title>desk</title><link rel="icon" href="data:,"><script>window.name = 'desk'</script>
<script src="/talk-back.js"></script>`

declare global {
  interface Window {
    /** Something that the test hears of without asking. */
    tellTest(note: unknown): void
  }
}
