import { isIP } from 'node:net';
import { generate } from 'selfsigned';

/** A self-signed certificate, which is its own authority, and its key, both PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** @param name common name and subject alternative name: a host or an address */
export async function selfSigned(name: string): Promise<Certificate> {
  const until = new Date();
  until.setFullYear(until.getFullYear() + 1);
  const made = await generate([{ name: 'commonName', value: name }], {
    keySize: 2048,
    algorithm: 'sha256',
    notAfterDate: until,
    extensions: [
      { name: 'basicConstraints', cA: true },
      {
        name: 'subjectAltName',
        altNames: [isIP(name) === 0 ? { type: 2, value: name } : { type: 7, ip: name }],
      },
    ],
  });
  return { cert: made.cert, key: made.private };
}
