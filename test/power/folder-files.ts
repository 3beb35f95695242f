/** The real disk with a folder as its root, so that workloads with paths of their own run in it. */
import type { Files, OpenMode } from '../../server/storage/files.ts'
import { nodeFiles } from '../../server/storage/node-files.ts'

export function filesIn(folder: string): Files {
  const at = (path: string) => `${folder}${path}`
  return {
    open: (path: string, mode: OpenMode) => nodeFiles.open(at(path), mode),
    list: (dir) => nodeFiles.list(at(dir)),
    stat: (path) => nodeFiles.stat(at(path)),
    remove: (path) => nodeFiles.remove(at(path)),
    rename: (from, to) => nodeFiles.rename(at(from), at(to)),
    link: (from, to) => nodeFiles.link(at(from), at(to)),
    makeDir: (dir) => nodeFiles.makeDir(at(dir)),
    syncDir: (dir) => nodeFiles.syncDir(at(dir)),
    freeBytes: (dir) => nodeFiles.freeBytes(at(dir)),
    lock: (dir) => nodeFiles.lock(at(dir)),
  }
}
