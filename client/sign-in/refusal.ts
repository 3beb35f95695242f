/** The other side did not let this client in, or did not prove itself. Trying again with the same is no use. */
export class SignInRefused extends Error {
  override readonly name = 'SignInRefused'
}
