/** The frame around every screen: name, navigation, connection, and the place where the screen goes. */
import { fill, h, svg } from '../dom.ts'
import { linkTo } from '../router.ts'

export interface ScreenLink {
  screen: string
  title: string
  /** The second key after `g`. */
  key: string
  /** Path of a 24 x 24 line drawing. */
  icon: string
}

export const SCREENS: readonly ScreenLink[] = [
  { screen: 'live', title: 'Live', key: 'l', icon: 'M3 18c3-13 15-13 18 0M3 18h.01M21 18h.01' },
  { screen: 'topics', title: 'Topics', key: 't', icon: 'M3 7h18M3 12h13M3 17h16' },
  {
    screen: 'groups',
    title: 'Groups',
    key: 'g',
    icon: 'M9 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6M3 20c0-4 3-6 6-6s6 2 6 6M16 5.2a3 3 0 0 1 0 5.6M17.5 14.4c2.2.7 3.5 2.7 3.5 5.6',
  },
  { screen: 'write', title: 'Write', key: 'w', icon: 'M4 20l1-5L16 4l4 4L9 19l-5 1M14 6l4 4' },
  { screen: 'outbox', title: 'Outbox', key: 'o', icon: 'M12 15V4M8 8l4-4 4 4M4 14v6h16v-6' },
  { screen: 'connection', title: 'Connection', key: 'c', icon: 'M4 12h4l2-6 4 12 2-6h4' },
]

export interface Shell {
  /** Puts a screen in place, moves focus to it and marks its link. */
  show(screen: string, title: string, content: HTMLElement): void
}

export function createShell(
  root: HTMLElement,
  badge: HTMLElement,
  onHelp: () => void,
  ...overlays: HTMLElement[]
): Shell {
  const links = SCREENS.map(({ screen, title, icon }) =>
    h('a', { href: linkTo(screen), class: 'nav-link', 'data-screen': screen }, drawing(icon), h('span', {}, title)),
  )
  const main = h('main', { id: 'screen', tabindex: -1 })
  fill(
    root,
    h(
      'header',
      { class: 'top' },
      h('a', { class: 'wordmark', href: linkTo('live') }, 'Ottla'),
      h('nav', { class: 'nav', 'aria-label': 'Screens' }, ...links),
      badge,
      h(
        'button',
        { type: 'button', class: 'quiet help-button', 'aria-label': 'Keyboard shortcuts', onclick: onHelp },
        '?',
      ),
    ),
    main,
    ...overlays,
  )
  let firstScreen = true
  return {
    show(screen, title, content) {
      document.title = `${title} · Ottla`
      for (const link of links) link.toggleAttribute('aria-current', false)
      links.find((link) => link.dataset.screen === screen)?.setAttribute('aria-current', 'page')
      main.dataset.screen = screen
      fill(main, content)
      main.scrollTop = 0
      // The page's own load leaves focus at the top, where the skip link is.
      if (!firstScreen) main.focus({ preventScroll: true })
      firstScreen = false
    },
  }
}

function drawing(path: string): SVGElement {
  return svg('svg', { viewBox: '0 0 24 24', 'aria-hidden': 'true', class: 'icon' }, svg('path', { d: path }))
}
