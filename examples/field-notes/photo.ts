/**
 * A photo that fits into a record. Larger ones are made smaller, step by step; what is no picture is refused.
 *
 * A topic takes records of 1 MiB (`max.message.bytes`); the rest of that is for what surrounds the photo.
 */
import type { Photo } from './notebook.ts'

export const PHOTO_BYTES_MAX = 900_000
/** More than any phone makes; decoding it could end the tab. */
const FILE_BYTES_MAX = 60_000_000
const KEPT_AS_IT_IS = new Set(['image/jpeg', 'image/png', 'image/webp'])
const STEPS = [
  { sidePixels: 2048, quality: 0.85 },
  { sidePixels: 1600, quality: 0.8 },
  { sidePixels: 1280, quality: 0.72 },
  { sidePixels: 960, quality: 0.6 },
  { sidePixels: 640, quality: 0.5 },
]

export interface FittedPhoto extends Photo {
  /** What a person should know of it. */
  says: string
}

/** The message is meant for a person. */
export class PhotoRefused extends Error {}

export async function fitPhoto(file: Blob): Promise<FittedPhoto> {
  if (file.size > FILE_BYTES_MAX) {
    throw new PhotoRefused(`This file has ${megabytes(file.size)}; the most that can be made smaller here is 60 MB.`)
  }
  const picture = await createImageBitmap(file).catch(() => undefined)
  if (!picture) throw new PhotoRefused('This file is no picture that your browser can show, so it was not added.')
  try {
    if (file.size <= PHOTO_BYTES_MAX && KEPT_AS_IT_IS.has(file.type)) {
      const content = new Uint8Array(await file.arrayBuffer())
      const { width, height } = picture
      return { type: file.type, width, height, content, says: `Photo added, ${megabytes(file.size)}.` }
    }
    return await reduced(picture, file.size)
  } finally {
    picture.close()
  }
}

async function reduced(picture: ImageBitmap, sizeBytes: number): Promise<FittedPhoto> {
  for (const { sidePixels, quality } of STEPS) {
    const scale = Math.min(1, sidePixels / Math.max(picture.width, picture.height))
    const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, Math.round(side * scale)))
    const blob = await drawn(picture, width!, height!, quality)
    if (blob.size > PHOTO_BYTES_MAX) continue
    const content = new Uint8Array(await blob.arrayBuffer())
    const says = `Made smaller, from ${megabytes(sizeBytes)} to ${megabytes(blob.size)}, to fit into a record.`
    return { type: blob.type, width: width!, height: height!, content, says }
  }
  throw new PhotoRefused('This picture does not fit into a record, however small it is made.')
}

function drawn(picture: ImageBitmap, width: number, height: number, quality: number): Promise<Blob> {
  const canvas = new OffscreenCanvas(width, height)
  canvas.getContext('2d')!.drawImage(picture, 0, 0, width, height)
  return canvas.convertToBlob({ type: 'image/jpeg', quality })
}

const megabytes = (sizeBytes: number): string => `${(sizeBytes / 1_000_000).toFixed(sizeBytes < 100_000 ? 2 : 1)} MB`

/** As text, for a form that is kept over a reload. */
export function photoToText({ type, width, height, content }: Photo): string {
  let text = ''
  for (let at = 0; at < content.length; at += 8192) text += String.fromCharCode(...content.subarray(at, at + 8192))
  return JSON.stringify({ type, width, height, content: btoa(text) })
}

export function photoFromText(text: string): Photo | null {
  if (text === '') return null
  const { type, width, height, content } = JSON.parse(text) as Omit<Photo, 'content'> & { content: string }
  return { type, width, height, content: Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0)) }
}
