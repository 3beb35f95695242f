/** What page and worker load to administer; built as admin.js. See adminApart in build/browser-files.ts. */
export { calls, openAdminDriver } from '../client/admin/requests.ts'
export { RELAY_APIS } from '../client/relay-apis.ts'
