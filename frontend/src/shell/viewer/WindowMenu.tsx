import * as Menu from "@radix-ui/react-dropdown-menu";
import { ChevronDown } from "lucide-react";
import type { Voi } from "../../model/voi";
import { voiWords } from "../../model/windows";
import { Tip } from "../Tip";
import { useSession, useView } from "./session-context";

/** Presets of the modality with their keys, and the windows the image brings. */
export function WindowMenu() {
	const session = useSession();
	const view = session.activeView;
	const state = useView(view);
	const grey = state?.shown !== undefined && !state.color;
	const presets = session.presets();
	const same = (a: Voi, b: Voi) => a.kind === "window" && voiWords(a) === voiWords(b);
	const extra = (state?.offered ?? []).filter(
		(each, at, all) =>
			!presets.some((row) => row === each || (row.name === each.name && same(row, each))) &&
			all.findIndex((row) => row === each || same(row, each)) === at,
	);
	return (
		<Menu.Root>
			<Tip label="Window presets" keys="1 … 9">
				<Menu.Trigger className="icon-button narrow" aria-label="Window presets" disabled={!grey}>
					<ChevronDown size={12} />
				</Menu.Trigger>
			</Tip>
			<Menu.Portal>
				<Menu.Content className="menu" align="start" sideOffset={4} style={{ minWidth: 240 }}>
					<Menu.Item className="menu-item" onSelect={() => view?.resetWindow()}>
						As the image came
					</Menu.Item>
					{extra.map((preset, index) => (
						<Menu.Item
							className="menu-item"
							// biome-ignore lint/suspicious/noArrayIndexKey: the order is the image's own
							key={index}
							onSelect={() => view?.applyVoi(preset)}
						>
							{preset.name}
							<span className="menu-end">{voiWords(preset)}</span>
						</Menu.Item>
					))}
					{presets.length > 0 && <Menu.Separator className="menu-line" />}
					{presets.map((preset, index) => (
						<Menu.Item
							className="menu-item"
							// biome-ignore lint/suspicious/noArrayIndexKey: keys 1 to 9 are the order
							key={index}
							onSelect={() => session.applyPreset(index + 1)}
						>
							{preset.name}
							<span className="menu-end">
								{voiWords(preset)} <kbd>{index + 1}</kbd>
							</span>
						</Menu.Item>
					))}
				</Menu.Content>
			</Menu.Portal>
		</Menu.Root>
	);
}
