declare module 'virtual:airports-url' {
  /** Address of the airports table made by web/build/airports-plugin.ts. */
  const url: string
  export default url
}
