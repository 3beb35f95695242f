/**
 * How each engine is started: on a profile folder and one address, with nothing between us and it. No driver, no automation
 * mode: it is the browser that people have, and what a test says to a page goes over talk-back.ts.
 */
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startDisplay } from './display.ts'

export type EngineName = 'chromium' | 'firefox' | 'webkit'

export interface Command {
  file: string
  args: string[]
  environment: Record<string, string>
}

export interface Recipe {
  name: EngineName
  /** Debian's package. */
  package: string
  file: string
  /** The command line of a process that pages live in. */
  pageProcess: RegExp
  /** Written into the profile if need be. */
  command(profileDir: string, url: string): Promise<Command>
}

const CHROMIUM_FLAGS = [
  ...['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-quic', '--disable-sync'],
  ...['--no-first-run', '--no-default-browser-check', '--disable-background-networking', '--disable-component-update'],
  ...['--disable-popup-blocking', '--hide-crash-restore-bubble'],
  // A process that waits for its first page would make it harder to say which process a tab has.
  '--disable-features=SpareRendererForSitePerProcess',
]

/** Nothing asked of the net, nothing asked of the person, windows open and close as a script wants. */
const FIREFOX_PREFERENCES = {
  'app.normandy.enabled': false,
  'app.update.enabled': false,
  'browser.aboutwelcome.enabled': false,
  'browser.newtabpage.enabled': false,
  // It loads the most visited pages once more, hidden and in a sandbox, to picture them: a second desk, that opens no tabs.
  'browser.pagethumbnails.capturing_disabled': true,
  'browser.safebrowsing.downloads.enabled': false,
  'browser.safebrowsing.malware.enabled': false,
  'browser.safebrowsing.phishing.enabled': false,
  'browser.sessionstore.resume_from_crash': false,
  'browser.shell.checkDefaultBrowser': false,
  'browser.tabs.warnOnClose': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'dom.allow_scripts_to_close_windows': true,
  'dom.disable_open_during_load': false,
  'dom.ipc.processPrelaunch.enabled': false,
  'dom.popup_maximum': 1_000,
  'dom.ipc.processCount.webIsolated': 8,
  'extensions.getAddons.cache.enabled': false,
  'extensions.systemAddon.update.enabled': false,
  'extensions.update.enabled': false,
  'media.gmp-manager.updateEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'privacy.trackingprotection.enabled': false,
  'services.settings.server': 'data:,',
  'toolkit.startup.max_resumed_crashes': -1,
  'toolkit.telemetry.enabled': false,
}

const WEBKIT_PLACES = [
  '/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser',
  '/usr/lib/aarch64-linux-gnu/webkit2gtk-4.1/MiniBrowser',
]

export const RECIPES: Readonly<Record<EngineName, Recipe>> = {
  chromium: {
    name: 'chromium',
    package: 'chromium',
    file: process.env.CHROMIUM_PATH ?? '/usr/bin/chromium',
    pageProcess: /--type=renderer/,
    async command(profileDir, url) {
      const args = [...CHROMIUM_FLAGS, `--user-data-dir=${profileDir}`, url]
      // What one that is killed leaves lying goes with its profile.
      return { file: this.file, args, environment: { TMPDIR: profileDir } }
    },
  },
  firefox: {
    name: 'firefox',
    package: 'firefox-esr',
    file: process.env.FIREFOX_PATH ?? '/usr/bin/firefox-esr',
    pageProcess: /-contentproc .* tab/,
    async command(profileDir, url) {
      const lines = Object.entries(FIREFOX_PREFERENCES).map(
        ([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});`,
      )
      await writeFile(join(profileDir, 'user.js'), lines.join('\n'))
      const args = ['--headless', '--no-remote', '--profile', profileDir, url]
      return { file: this.file, args, environment: { HOME: profileDir, MOZ_CRASHREPORTER_DISABLE: '1' } }
    },
  },
  webkit: {
    name: 'webkit',
    package: 'libwebkit2gtk-4.1-0',
    file: process.env.WEBKIT_PATH ?? WEBKIT_PLACES.find((place) => existsSync(place)) ?? WEBKIT_PLACES[0]!,
    pageProcess: /WebKitWebProcess/,
    async command(profileDir, url) {
      const folders = ['DATA', 'CACHE', 'CONFIG'].map((name) => [`XDG_${name}_HOME`, join(profileDir, name)] as const)
      for (const [, folder] of folders) await mkdir(folder, { recursive: true })
      const environment = {
        ...Object.fromEntries(folders),
        HOME: profileDir,
        DISPLAY: await startDisplay(),
        // No desktop to talk to, and nothing to draw on but memory.
        DBUS_SESSION_BUS_ADDRESS: 'disabled:',
        NO_AT_BRIDGE: '1',
        GDK_BACKEND: 'x11',
        WEBKIT_DISABLE_COMPOSITING_MODE: '1',
        WEBKIT_DISABLE_DMABUF_RENDERER: '1',
      }
      return { file: this.file, args: ['--javascript-can-open-windows-automatically=true', url], environment }
    },
  },
}

export const ENGINES = Object.keys(RECIPES) as EngineName[]

/** Throws with the remedy where an engine is not there: a suite that goes without one has not been run. */
export function demandEngine(name: EngineName): Recipe {
  const recipe = RECIPES[name]
  if (existsSync(recipe.file)) return recipe
  throw new Error(
    `${name} is not here (${recipe.file}): run scripts/setup-tests.sh, or apt-get install ${recipe.package}`,
  )
}
