import { createInterface } from 'node:readline';
import { messageOf } from '../../src/lib/errors.ts';
import type { CrowdLogin } from '../support/crowd-client.ts';
import { Crowd, type CrowdResult, seeded } from '../support/crowd.ts';

/** What a process of clients is told on its command line, as JSON. */
export interface ClientsJob {
  readonly login: CrowdLogin;
  readonly first: number;
  readonly clients: number;
  readonly seed: number;
}

/** What it is told on its standard input, one JSON value a line. */
export type ClientsOrder =
  | { readonly t: 'connect' }
  | { readonly t: 'run'; readonly active: number; readonly ms: number }
  | { readonly t: 'close' };

/** What it answers on its standard output when an order has been carried out. */
export type ClientsAnswer =
  | { readonly t: 'done' }
  | { readonly t: 'result'; readonly result: CrowdResult }
  | { readonly t: 'failed'; readonly why: string };

async function serve(job: ClientsJob): Promise<void> {
  const crowd = new Crowd({ ...job, random: seeded(job.seed) });
  for await (const line of createInterface({ input: process.stdin })) {
    const answer = await obey(crowd, JSON.parse(line) as ClientsOrder);
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  crowd.close();
}

async function obey(crowd: Crowd, order: ClientsOrder): Promise<ClientsAnswer> {
  try {
    switch (order.t) {
      case 'connect':
        await crowd.connect();
        return { t: 'done' };
      case 'run':
        await crowd.settle();
        await crowd.run(order.active, order.ms);
        return { t: 'result', result: crowd.result() };
      case 'close':
        crowd.close();
        return { t: 'done' };
    }
  } catch (error) {
    return { t: 'failed', why: messageOf(error) };
  }
}

// This module is the program, and the types of what it is told for whoever starts it.
if (import.meta.main) await serve(JSON.parse(process.argv[2] ?? '') as ClientsJob);
