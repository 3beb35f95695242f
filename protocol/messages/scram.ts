/** Passwords of SCRAM users, as far as they can be told: by how they are salted (KIP-554). */
import { api } from '../api.ts'
import { array, bytes, int8, int16, int32, nullable, string, struct, withDefault } from '../schema.ts'

/** Mechanism 1 is SCRAM-SHA-256, 2 is SCRAM-SHA-512. Users null asks for all. */
export const describeUserScramCredentials = api({
  key: 50,
  name: 'DescribeUserScramCredentials',
  versions: [0, 0],
  flexibleFrom: 0,
  request: struct({
    users: nullable(array(struct({ name: string() }))),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    errorCode: int16(),
    errorMessage: nullable(string()),
    results: array(
      struct({
        user: string(),
        errorCode: int16(),
        errorMessage: nullable(string()),
        credentialInfos: array(struct({ mechanism: int8(), iterations: int32() })),
      }),
    ),
  }),
})

/** The client salts: a password never travels. */
export const alterUserScramCredentials = api({
  key: 51,
  name: 'AlterUserScramCredentials',
  versions: [0, 0],
  flexibleFrom: 0,
  request: struct({
    deletions: array(struct({ name: string(), mechanism: int8() })),
    upsertions: array(
      struct({ name: string(), mechanism: int8(), iterations: int32(), salt: bytes(), saltedPassword: bytes() }),
    ),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    results: array(struct({ user: string(), errorCode: int16(), errorMessage: nullable(string()) })),
  }),
})
