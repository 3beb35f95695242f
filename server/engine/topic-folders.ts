/** Folder names of topics: NAME.ID, so that a person sees what is where and a recreated topic gets a new place. */
import { type Files, isMissing } from '../storage/files.ts'

export const folderOfTopic = ({ name, id }: { name: string; id: string }): string => `${name}.${id}`

/** An id has no dot, a name may: the id is what follows the last one. */
export const topicIdOfFolder = (folder: string): string => folder.slice(folder.lastIndexOf('.') + 1)

export const topicNameOfFolder = (folder: string): string => folder.slice(0, Math.max(0, folder.lastIndexOf('.')))

/** Removes a folder and all in it, deepest first. What is gone already is no error: somebody else may be at it, too. */
export async function removeFolder(files: Files, dir: string): Promise<void> {
  let names: string[]
  try {
    names = await files.list(dir)
  } catch (error) {
    if (isMissing(error)) return
    throw error
  }
  for (const name of names) {
    const path = `${dir}/${name}`
    if ((await files.stat(path))?.isFolder) await removeFolder(files, path)
    else await removeIfThere(files, path)
  }
  await removeIfThere(files, dir)
  await files.syncDir(dir.slice(0, dir.lastIndexOf('/')))
}

async function removeIfThere(files: Files, path: string): Promise<void> {
  try {
    await files.remove(path)
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}
