/** Branded ids: the compiler rejects a mix-up of two things that are both numbers or strings. */
declare const brand: unique symbol;
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name };

/** Name of a server as configured (`servers[].id`, default `host:port`). */
export type ServerId = Branded<string, 'ServerId'>;
/** A client connection of this proxy; what the client sees as `CONNECTION_ID()`. Fits in 32 bits. */
export type ConnId = Branded<number, 'ConnId'>;
/** The thread id that a server gave to one of our connections to it. */
export type BackendThreadId = Branded<number, 'BackendThreadId'>;

export const serverId = (text: string): ServerId => text as ServerId;
export const connId = (id: number): ConnId => id as ConnId;
export const backendThreadId = (id: number): BackendThreadId => id as BackendThreadId;
