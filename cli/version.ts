/** The version in package.json, put in by the bundler so that start-up reads no file for it. */
declare const __OTTLA_VERSION__: string | undefined

export const version = typeof __OTTLA_VERSION__ === 'string' ? __OTTLA_VERSION__ : 'from source'
