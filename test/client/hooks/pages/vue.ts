import { string } from 'ottla'
import { ottlaRefs } from 'ottla/vue'
import * as Vue from 'vue'
import { FACTS, factsOf, open, root } from './open.ts'

const { ottla, opened } = await open()
const { useTable, useTopic, useStatus, useOutbox } = ottlaRefs(Vue, ottla)
const prefix = Vue.ref('n')

const View = Vue.defineComponent({
  props: { prefix: { type: String, required: true } },
  setup(props) {
    const [status, outbox, missing] = [useStatus(), useOutbox(), useTable('nowhere')]
    const table = useTable<string, string>('notes', {}, { prefix: props.prefix })
    const topic = useTopic<string, string>('notes', { value: string, last: 2 })
    return () => {
      const facts = factsOf({
        ...{ status: status.value, outbox: outbox.value, missing: missing.value },
        ...{ table: table.value, topic: topic.value },
      })
      return FACTS.map((id) => Vue.h('p', { id }, facts[id]))
    }
  },
})
// A key of its own for each selection: a component's refs end with it.
const app = Vue.createApp(() => Vue.h(View, { key: prefix.value, prefix: prefix.value }))
app.mount(root())
window.page = {
  ottla,
  opened,
  select: (chosen) => {
    prefix.value = chosen
  },
  unmount: () => app.unmount(),
}
