import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';

/**
 * Whether a request that changes something may come from where it says. There is no password, so a
 * page of the web must not be able to make it through the browser of somebody who can reach this
 * server: neither from its own origin nor, by a name that it lets resolve to this address (DNS
 * rebinding), from what looks like ours.
 *
 * Programs other than browsers send neither `Origin` nor `Sec-Fetch-Site`: they pass.
 *
 * @returns why not, null when it may
 */
export function checkSameSite(headers: IncomingHttpHeaders): string | null {
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') {
    return 'The request comes from another site';
  }
  const { origin, host } = headers;
  if (origin === undefined && site === undefined) return null;
  const name = nameOf(host);
  if (origin !== undefined && (name === null || !isOriginOf(origin, host ?? ''))) {
    return 'The request comes from another origin';
  }
  if (name !== null && (name === 'localhost' || isIP(name) !== 0)) return null;
  return 'From a browser this needs the address of the server, or localhost, instead of its name';
}

function isOriginOf(origin: string, host: string): boolean {
  return origin === `http://${host}`;
}

/** The host without its port and without the brackets of an IPv6 address; null without one. */
function nameOf(host: string | undefined): string | null {
  const matched = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::\d+)?$/i.exec(host ?? '');
  return matched?.[1] ?? matched?.[2]?.toLowerCase() ?? null;
}
