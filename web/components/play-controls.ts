/** Play, pause, pace and the way back to the present. The keys are the same as on a video. */
import { h, setText } from '../dom.ts'
import type { Keyboard } from '../keyboard.ts'
import type { Playhead } from '../live/playhead.ts'

const PACES = [100, 400, 1600] as const

export interface PlayControls {
  element: HTMLElement
  show(): void
}

export function playControls(playhead: Playhead, keyboard: Keyboard, until: AbortSignal): PlayControls {
  const toggle = () => {
    // Paused where it stood, it goes on as a replay: the present has moved away meanwhile.
    playhead.mode = playhead.mode === 'paused' ? 'replay' : 'paused'
    show()
  }
  const goLive = () => {
    playhead.goLive()
    show()
  }
  const play = h('button', { type: 'button', class: 'play', onclick: toggle }, 'Pause')
  const live = h('button', { type: 'button', class: 'go-live', onclick: goLive }, 'Live')
  const pace = h(
    'select',
    {
      'aria-label': 'Pace of the replay',
      onchange: () => {
        playhead.flightsPerSecond = Number(pace.value)
      },
    },
    ...PACES.map((each) =>
      h('option', { value: each, selected: each === playhead.flightsPerSecond }, `${each} flights/s`),
    ),
  )
  const show = () => {
    setText(play, playhead.mode === 'paused' ? 'Play' : 'Pause')
    play.setAttribute('aria-pressed', String(playhead.mode === 'paused'))
    live.setAttribute('aria-pressed', String(playhead.mode === 'live'))
    setText(live, playhead.mode === 'live' ? 'Live' : 'Back to live')
  }
  keyboard.add(
    [
      { keys: 'Space', does: 'Pause or play', run: toggle },
      { keys: 'l', does: 'Back to live', run: goLive },
    ],
    until,
  )
  return { element: h('div', { class: 'play-controls' }, play, live, pace), show }
}
