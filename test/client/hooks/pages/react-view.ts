/** The same component for React and for Preact, which is what they have in common. */

import { type Ottla, string } from 'ottla'
import { ottlaHooks, type ReactLike } from 'ottla/react'
import type * as React from 'react'
import { FACTS, factsOf } from './open.ts'

type Framework = ReactLike & Pick<typeof React, 'createElement' | 'useState' | 'useEffect'>

export function viewOf(framework: Framework, ottla: Ottla, whenSelectable: (select: (prefix: string) => void) => void) {
  const { useTable, useTopic, useStatus, useOutbox } = ottlaHooks(framework, ottla)
  return function View() {
    const [prefix, select] = framework.useState('n')
    framework.useEffect(() => whenSelectable(select), [])
    const facts = factsOf({
      status: useStatus(),
      table: useTable<string, string>('notes', {}, { prefix }),
      topic: useTopic<string, string>('notes', { value: string, last: 2 }),
      outbox: useOutbox(),
      missing: useTable('nowhere'),
    })
    return framework.createElement(
      'div',
      null,
      FACTS.map((id) => framework.createElement('p', { key: id, id }, facts[id])),
    )
  }
}
