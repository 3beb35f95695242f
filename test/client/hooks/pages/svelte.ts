import { mount, unmount } from 'svelte'
import { writable } from 'svelte/store'
import { open, root } from './open.ts'
import Shell from './Shell.svelte'

const { ottla, opened } = await open()
const prefix = writable('n')
const shell = mount(Shell, { target: root(), props: { ottla, prefix } })
window.page = { ottla, opened, select: (chosen) => prefix.set(chosen), unmount: () => void unmount(shell) }
