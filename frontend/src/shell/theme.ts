/** Dark unless the user chose light; remembered on this computer. */

const KEY = "pacsweb.theme";

export type Theme = "dark" | "light";

export function currentTheme(): Theme {
	return document.documentElement.dataset.theme === "light" ? "light" : "dark";
}

export function setTheme(theme: Theme): void {
	document.documentElement.dataset.theme = theme;
	localStorage.setItem(KEY, theme);
}

export function restoreTheme(): void {
	document.documentElement.dataset.theme = localStorage.getItem(KEY) === "light" ? "light" : "dark";
}
