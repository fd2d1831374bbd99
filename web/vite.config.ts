import { svelte } from "@sveltejs/vite-plugin-svelte";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

// One toolchain, two pages: `vite build --mode console|portal`. Each lands in the room that serves it.
const places = { console: "../hub/console/dist", portal: "../rewards/portal/dist" } as const;

export default defineConfig(({ mode }) => {
  const page = mode === "portal" ? "portal" : "console";
  return {
    root: fileURLToPath(new URL(`./${page}`, import.meta.url)),
    base: "./",
    plugins: [svelte({ configFile: false })],
    build: {
      outDir: fileURLToPath(new URL(places[page], import.meta.url)),
      emptyOutDir: true,
      assetsInlineLimit: 0, // nothing inline: the pages run under a strict content security policy
      modulePreload: { polyfill: false },
    },
  };
});
