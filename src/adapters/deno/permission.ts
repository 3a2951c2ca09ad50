/** Deno's permission to use the network, for what Deno does not check itself. */

interface DenoPermissions {
  permissions: {
    requestSync(descriptor: { name: "net"; host: string }): { state: string };
  };
  errors: { NotCapable: new (message: string) => Error };
}

/**
 * Asks for permission as `Deno.connect` and `Deno.listen` would, since system calls go around Deno's
 * permissions.
 */
export function askForNet({ hostname, port }: { hostname: string; port: number }): void {
  const { Deno } = globalThis as unknown as { Deno: DenoPermissions };
  const host = hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
  if (Deno.permissions.requestSync({ name: "net", host }).state === "granted") return;
  throw new Deno.errors.NotCapable(
    `Requires net access to "${host}", run again with the --allow-net flag`,
  );
}
