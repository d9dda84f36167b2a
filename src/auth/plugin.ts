/**
 * Names of the authentication plugins.
 * @see https://dev.mysql.com/doc/refman/en/authentication-plugins.html
 */
export const PLUGIN = {
  CACHING_SHA2: 'caching_sha2_password',
  NATIVE: 'mysql_native_password',
  /** The predecessor of `caching_sha2_password`, deprecated; always the full exchange. */
  SHA256: 'sha256_password',
  /** The password as it is; only ever over TLS, and only where allowed. */
  CLEAR: 'mysql_clear_password',
  /** MariaDB. */
  ED25519: 'client_ed25519',
} as const;
