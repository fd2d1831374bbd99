// Which account the address names: ?account=0x... is a permalink.

const ADDRESS = /^0x[0-9a-fA-F]{40}$/;

export const isAddress = (text: string): boolean => ADDRESS.test(text);

function named(): string | undefined {
  const account = new URLSearchParams(location.search).get("account") ?? "";
  return isAddress(account) ? account : undefined;
}

class Address {
  account = $state(named());

  constructor() {
    addEventListener("popstate", () => (this.account = named()));
  }

  show(account: string | undefined): void {
    history.pushState(null, "", account === undefined ? "./" : accountLink(account));
    this.account = account;
    scrollTo(0, 0);
  }
}

export const address = new Address();
export const accountLink = (account: string): string => `?account=${account}`;
