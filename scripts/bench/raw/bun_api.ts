/** The part of Bun's API that is used. */

export interface Socket<Data> {
  data: Data;
  readonly fd: number;
  write(data: Uint8Array): number;
  pause(): void;
  resume(): void;
  end(): void;
  terminate(): void;
  setNoDelay(on: boolean): boolean;
  setKeepAlive(on: boolean, delay: number): boolean;
}

export interface Handlers<Data> {
  open?(socket: Socket<Data>): void;
  data(socket: Socket<Data>, chunk: Uint8Array): unknown;
  drain?(socket: Socket<Data>): void;
  end?(socket: Socket<Data>): void;
  handshake?(socket: Socket<Data>, success: boolean): void;
}

interface Options<Data> {
  hostname: string;
  port: number;
  data?: Data;
  socket: Handlers<Data>;
  tls?: object;
}

export interface Listener {
  readonly port: number;
}

interface BunApi {
  connect<Data>(options: Options<Data>): Promise<Socket<Data>>;
  listen<Data>(options: Options<Data>): Listener;
}

export const Bun: BunApi = (globalThis as unknown as { Bun: BunApi }).Bun;
