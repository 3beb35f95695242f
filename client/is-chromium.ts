/** Chromium, and what is made of it: Edge, Opera and others say so too. Not in a Node that has a navigator. */
export const isChromium = (): boolean => /Chrom/.test(globalThis.navigator?.userAgent ?? '')
