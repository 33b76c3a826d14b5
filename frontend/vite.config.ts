/// <reference types="vitest/config" />
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The Django server during development; Vite hands everything that is not source to it.
const server = process.env.PACSWEB_SERVER ?? "http://127.0.0.1:8000";
const proxied = ["/dicom-web", "/api", "/login", "/logout", "/admin", "/wado"];

export default defineConfig(({ command }) => ({
	base: command === "build" ? "/static/" : "/",
	plugins: [react()],
	worker: { format: "es" },
	build: {
		outDir: "dist/app",
		emptyOutDir: true,
		manifest: true,
		target: "es2022",
		chunkSizeWarningLimit: 5000,
		rollupOptions: { input: "src/main.tsx" },
	},
	// The loader's worker URL is lost in the dependency optimizer, and its CommonJS codecs need it.
	optimizeDeps: {
		exclude: ["@cornerstonejs/dicom-image-loader"],
		include: [
			"dicom-parser",
			"@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs",
			"@cornerstonejs/codec-charls/decodewasmjs",
			"@cornerstonejs/codec-openjpeg/decodewasmjs",
			"@cornerstonejs/codec-openjph/wasmjs",
			"@cornerstonejs/codec-libjxl/decodewasmjs",
		],
	},
	server: {
		port: Number(process.env.PORT ?? 5173),
		proxy: Object.fromEntries(proxied.map((path) => [path, { target: server }])),
	},
	test: { include: ["src/**/*.test.{ts,tsx}"] },
}));
