import * as Menu from "@radix-ui/react-dropdown-menu";
import { ChevronDown } from "lucide-react";
import { recordedWindows, windowPresets } from "../../model/windows";
import { Tip } from "../Tip";
import { useSession, useView } from "./session-context";

/** Presets of the modality with their keys, and the windows the image brings. */
export function WindowMenu() {
	const session = useSession();
	const view = session.activeView;
	const frame = useView(view)?.shown?.frame;
	const presets = frame ? windowPresets(frame.attributes) : [];
	const recorded = frame ? recordedWindows(frame.attributes) : [];
	const extra = recorded.filter(
		(each) => !presets.some((row) => row.center === each.center && row.width === each.width),
	);
	return (
		<Menu.Root>
			<Tip label="Window presets" keys="1 … 9">
				<Menu.Trigger className="icon-button narrow" aria-label="Window presets" disabled={!frame}>
					<ChevronDown size={12} />
				</Menu.Trigger>
			</Tip>
			<Menu.Portal>
				<Menu.Content className="menu" align="start" sideOffset={4} style={{ minWidth: 240 }}>
					<Menu.Item className="menu-item" onSelect={() => view?.resetWindow()}>
						As the image came
					</Menu.Item>
					{extra.map((preset) => (
						<Menu.Item
							className="menu-item"
							key={`${preset.name} ${preset.center} ${preset.width}`}
							onSelect={() => view?.setWindow(preset)}
						>
							{preset.name}
							<span className="menu-end">
								W {preset.width} L {preset.center}
							</span>
						</Menu.Item>
					))}
					{presets.length > 0 && <Menu.Separator className="menu-line" />}
					{presets.map((preset, index) => (
						<Menu.Item
							className="menu-item"
							key={preset.name}
							onSelect={() => session.applyPreset(index + 1)}
						>
							{preset.name}
							<span className="menu-end">
								W {preset.width} L {preset.center} <kbd>{index + 1}</kbd>
							</span>
						</Menu.Item>
					))}
				</Menu.Content>
			</Menu.Portal>
		</Menu.Root>
	);
}
