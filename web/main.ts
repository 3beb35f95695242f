/** Entry: frame first, then the client, then the screen that the address names. */
import { registerServiceWorker } from '../worker/offline/register.ts'
import { connectionBadge } from './components/connection-badge.ts'
import { errorState } from './components/empty-state.ts'
import { helpDialog } from './components/help-dialog.ts'
import { catchInstallOffer } from './components/install-button.ts'
import { createShell, SCREENS, type Shell } from './components/shell.ts'
import { signInDialog } from './components/sign-in-dialog.ts'
import { createToasts } from './components/toast.ts'
import { errorInfo } from './errors.ts'
import { Keyboard } from './keyboard.ts'
import { openSource } from './ottla-source.ts'
import { linkTo, type Route, startRouter } from './router.ts'
import { type App, createApp } from './state.ts'
import { connectionView } from './views/connection.ts'
import { groupsView } from './views/groups.ts'
import { liveView } from './views/live.ts'
import { outboxView } from './views/outbox.ts'
import { topicView } from './views/topic.ts'
import { topicsView } from './views/topics.ts'
import { writeView } from './views/write.ts'

const life = new AbortController().signal
const toasts = createToasts()
const keyboard = new Keyboard(life)
const help = helpDialog(keyboard)
const root = document.querySelector<HTMLElement>('#app')!

catchInstallOffer(life)
void registerServiceWorker({
  url: '/service-worker.js',
  onOfflineReady: () => toasts.notify('Ready to start offline.'),
  onUpdate: ({ apply }) => toasts.ask('An update is ready. Your drafts are kept.', 'Reload', apply),
  hasUnsavedWork: () => [...document.querySelectorAll('textarea')].some(({ value }) => value !== ''),
})
keyboard.add(
  [
    ...SCREENS.map(({ screen, title, key }) => ({
      keys: `g ${key}`,
      does: title,
      run: () => {
        location.hash = linkTo(screen)
      },
    })),
    { keys: '?', does: 'This help', run: help.open },
  ],
  life,
)
void start()

async function start(): Promise<void> {
  try {
    const source = await openSource()
    const signIn = signInDialog(source)
    const app = createApp(source, { keyboard, notify: toasts.notify, openSignIn: signIn.open }, life)
    const overlays = [toasts.element, help.element, signIn.element]
    const shell = createShell(root, connectionBadge(app.status, life), help.open, ...overlays)
    askWhoIsThere(app)
    startRouter('live', (route, left) => showScreen(shell, app, route, left), life)
  } catch (error) {
    root.replaceChildren(
      errorState(errorInfo(error), () => location.reload()),
      toasts.element,
    )
  }
}

/** Each time that the relay wants to know; whoever says "not now" works offline, and finds it on the screen Connection. */
function askWhoIsThere({ status, openSignIn }: App): void {
  let isAsked = false
  status.watch(({ state }) => {
    if (state === 'needs-auth' && !isAsked) openSignIn()
    if (state === 'needs-auth' || state === 'live') isAsked = state === 'needs-auth'
  }, life)
}

function showScreen(shell: Shell, app: App, { screen, path, query }: Route, left: AbortSignal): void {
  const title = SCREENS.find((each) => each.screen === screen)?.title ?? 'Live'
  const [topic] = path
  switch (screen) {
    case 'topics':
      return topic === undefined
        ? shell.show(screen, title, topicsView(app, left))
        : shell.show(screen, topic, topicView(app, topic, left))
    case 'groups':
      return shell.show(screen, title, groupsView(app, left))
    case 'write':
      return shell.show(screen, title, writeView(app, query.get('topic'), left))
    case 'outbox':
      return shell.show(screen, title, outboxView(app, left))
    case 'connection':
      return shell.show(screen, title, connectionView(app, left))
    default:
      return shell.show('live', 'Live', liveView(app, left))
  }
}
