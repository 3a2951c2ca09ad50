/** The parts of built-in modules that are used. They are declared here, so that no types of Node's are needed. */

export interface Stats {
  readonly ino: number;
  readonly mtimeMs: number;
  isSocket(): boolean;
}

interface X509Certificate {
  /** `undefined` when it is empty, which the types of the runtimes do not say. */
  readonly subject?: string;
  readonly issuer?: string;
  readonly subjectAltName?: string;
  readonly validFrom: string;
  readonly validTo: string;
  readonly serialNumber: string;
  readonly fingerprint256: string;
  checkIP(address: string): string | undefined;
  checkPrivateKey(key: object): boolean;
}

/** A context of TLS. `context` is the runtime's own object. */
export interface SecureContext {
  readonly context: object;
}

/** The result of looking up a name. */
export interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

type Subscriber = (message: unknown) => void;

/** The modules by name. Every runtime has them. */
export interface Modules {
  "node:buffer": { Buffer: { prototype: object; allocUnsafeSlow(size: number): Uint8Array } };
  "node:crypto": {
    X509Certificate: new (certificate: string | Uint8Array) => X509Certificate;
    createPrivateKey(pem: string): object;
  };
  "node:diagnostics_channel": {
    channel(name: string): { readonly hasSubscribers: boolean; publish(message: object): void };
    subscribe(name: string, subscriber: Subscriber): void;
    unsubscribe(name: string, subscriber: Subscriber): void;
  };
  "node:dns": {
    lookup(
      name: string,
      options: { all: true; verbatim: true },
      done: (error: Error | null, addresses: Address[]) => void,
    ): void;
  };
  "node:fs": {
    closeSync(fd: number): void;
    existsSync(path: string | URL): boolean;
    lstatSync(path: string, options: { throwIfNoEntry: false }): Stats | undefined;
    openSync(path: string, flags: string): number;
    readdirSync(path: string): string[];
    readFileSync(path: string, encoding: "latin1" | "utf8"): string;
    readlinkSync(path: string): string;
    readSync(fd: number, into: Uint8Array, offset: number, size: number): number;
    renameSync(path: string, to: string): void;
    unlinkSync(path: string): void;
    writeSync(fd: number, data: Uint8Array, offset: number, size: number): number;
  };
  "node:module": {
    createRequire(from: string): { (name: string): unknown; resolve(name: string): string };
    isBuiltin(name: string): boolean;
  };
  "node:os": {
    constants: { errno: Record<string, number> };
    networkInterfaces(): Record<string, { scopeid?: number }[] | undefined>;
  };
  "node:path": { dirname(file: string): string; join(...parts: string[]): string };
  "node:tls": {
    checkServerIdentity(name: string, certificate: object): Error | undefined;
    createSecureContext(options: {
      ca: readonly string[] | undefined;
      cert: string | undefined;
      key: string | undefined;
      minVersion: string;
      sessionIdContext: string;
    }): SecureContext;
  };
  /** It also knows the numbers that libuv has on Windows. */
  "node:util": { getSystemErrorName(number: number): string };
}
