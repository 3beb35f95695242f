/** Notes in a topic: written at once, shown in the order of the log, kept in this browser. */
const relay = new URLSearchParams(location.search).get('relay') ?? 'http://127.0.0.1:8092'
const { connect, string } = await import(`${relay}/client.js`)

const ottla = await connect(relay.replace(/^http/, 'ws'), { replica: 'notes-example' })
const notes = ottla.topic('notes', { value: string })

const status = document.querySelector('#status')
ottla.onStatus(({ state, outbox }) => {
  status.textContent = outbox.pendingRecords > 0 ? `${state}, ${outbox.pendingRecords} to send` : state
})

document.querySelector('#form').addEventListener('submit', (event) => {
  event.preventDefault()
  const text = event.target.elements.text
  notes.send({ value: text.value })
  text.value = ''
})

for await (const note of notes.read({ from: { last: 50 } })) {
  const item = document.createElement('li')
  item.textContent = note.value
  document.querySelector('#notes').prepend(item)
}
