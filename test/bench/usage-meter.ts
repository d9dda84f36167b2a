import { cpuUsOf, type MachineUsage, machineUsage } from './meters.ts';

/** CPU time that one load cost, microseconds. */
export interface LoadUsage {
  readonly proxyUs: number;
  readonly serversUs: number;
  /** Share of the machine that processes foreign to the bench used meanwhile, 0 to 1. */
  readonly foreignShare: number;
}

/** The processes whose CPU time is metered. */
export interface MeteredProcesses {
  readonly proxy: readonly number[];
  readonly servers: readonly number[];
}

interface Reading {
  readonly machine: MachineUsage | null;
  readonly proxyUs: number;
  readonly serversUs: number;
}

/** Meters who used the processors while one load ran. */
export class UsageMeter {
  readonly #processes: MeteredProcesses;
  #begin: Reading | null = null;
  #loadBeginUs = 0;
  #loadUs = 0;

  constructor(processes: MeteredProcesses) {
    this.#processes = processes;
  }

  /** The load, made by process `loadPid`, begins. */
  begin(loadPid: number): void {
    this.#begin = this.#read();
    this.#loadBeginUs = cpuUsOf([loadPid]);
    this.#loadUs = this.#loadBeginUs;
  }

  /** To be called now and then: what `loadPid` has used cannot be read after its end. */
  poll(loadPid: number): void {
    this.#loadUs = Math.max(this.#loadUs, cpuUsOf([loadPid]));
  }

  /** What was used since `begin`; null when it never began, or where there is no /proc. */
  end(): LoadUsage | null {
    const begin = this.#begin;
    const end = this.#read();
    if (begin === null || begin.machine === null || end.machine === null) return null;
    const proxyUs = end.proxyUs - begin.proxyUs;
    const serversUs = end.serversUs - begin.serversUs;
    const knownUs = proxyUs + serversUs + this.#loadUs - this.#loadBeginUs;
    const busyUs = end.machine.busyUs - begin.machine.busyUs;
    const totalUs = Math.max(1, end.machine.totalUs - begin.machine.totalUs);
    return { proxyUs, serversUs, foreignShare: Math.max(0, busyUs - knownUs) / totalUs };
  }

  #read(): Reading {
    return {
      machine: machineUsage(),
      proxyUs: cpuUsOf(this.#processes.proxy),
      serversUs: cpuUsOf(this.#processes.servers),
    };
  }
}
