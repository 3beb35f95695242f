/** Hooks on a server; in browsers they are tested by test/browsers/applications.ts. */
import * as React from 'react'
import { renderToString } from 'react-dom/server'
import { expect, onTestFinished, test } from 'vitest'
import { ottlaHooks } from '../../../client/hooks/react.ts'
import { connect } from '../../../client/index.ts'
import { startRelay } from '../../support/relay.ts'

test('[HKS-6] React renders on a server, with what is known then, and opens nothing', async () => {
  const relay = await startRelay()
  const ottla = await connect(relay.websocket.url)
  onTestFinished(() => ottla.close())
  const { useStatus, useTable } = ottlaHooks(React, ottla)
  const View = () => React.createElement('p', null, `${useStatus().state} ${useTable('notes').rows.length}`)
  expect(renderToString(React.createElement(View))).toBe('<p>live 0</p>')
})
