// Which page the address names: #/, #/devices/z6Mk..., #/epochs/3. Every one is a permalink.

export type Route = { page: "overview" } | { page: "device"; name: string } | { page: "epoch"; number: number };

export function parseRoute(hash: string): Route {
  const [, place, name] = hash.replace(/^#/, "").split("/");
  if (place === "devices" && name) return { page: "device", name };
  if (place === "epochs" && name && /^[1-9][0-9]{0,15}$/.test(name)) return { page: "epoch", number: Number(name) };
  return { page: "overview" };
}

class Address {
  route = $state<Route>(parseRoute(location.hash));

  constructor() {
    addEventListener("hashchange", () => {
      this.route = parseRoute(location.hash);
      scrollTo(0, 0);
    });
  }
}

export const address = new Address();
export const deviceLink = (name: string): string => `#/devices/${name}`;
export const epochLink = (number: number): string => `#/epochs/${number}`;
