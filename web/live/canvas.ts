/** A canvas that keeps the size of its box in device pixels, at most twice the CSS pixels (more is not seen moving). */
const PIXEL_RATIO_MAX = 2

export interface Layer {
  readonly canvas: HTMLCanvasElement
  readonly context: CanvasRenderingContext2D
  /** CSS pixels; the context is scaled so that drawing uses them. */
  width: number
  height: number
}

export function createLayer(canvas: HTMLCanvasElement): Layer {
  const context = canvas.getContext('2d')
  if (!context) throw new Error('this browser gives no 2D canvas; the picture cannot be drawn')
  return { canvas, context, width: 0, height: 0 }
}

/** Resizing clears; returns whether that happened. */
export function fitLayer(layer: Layer, width: number, height: number): boolean {
  const ratio = Math.min(devicePixelRatio || 1, PIXEL_RATIO_MAX)
  const wide = Math.round(width * ratio)
  const high = Math.round(height * ratio)
  if (layer.canvas.width === wide && layer.canvas.height === high) return false
  layer.canvas.width = wide
  layer.canvas.height = high
  layer.width = width
  layer.height = height
  layer.context.setTransform(ratio, 0, 0, ratio, 0, 0)
  return true
}
