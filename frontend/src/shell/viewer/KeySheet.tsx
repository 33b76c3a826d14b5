import * as Dialog from "@radix-ui/react-dialog";
import { X } from "lucide-react";
import { COMMANDS, keyName } from "./commands";
import { useSession } from "./session-context";

const MOUSE: readonly (readonly [string, string])[] = [
	["Left button", "the chosen tool"],
	["Middle button", "pan"],
	["Right button", "zoom"],
	["Wheel", "scroll through images"],
	["Both buttons", "scroll fast"],
	["Shift + wheel", "next series"],
	["Ctrl + wheel", "zoom"],
	["Double click", "single view and back"],
];

const TOUCH: readonly (readonly [string, string])[] = [
	["One finger", "the chosen tool"],
	["Two fingers", "zoom and pan"],
	["Three fingers", "scroll through images"],
	["Double tap", "single view and back"],
];

function Words({ title, rows }: { title: string; rows: readonly (readonly [string, string])[] }) {
	return (
		<section>
			<h2>{title}</h2>
			<dl>
				{rows.map(([what, does]) => (
					<div key={what}>
						<dt className="key-words">{what}</dt>
						<dd>{does}</dd>
					</div>
				))}
			</dl>
		</section>
	);
}

/** The sheet of keys. */
export function KeySheet() {
	const session = useSession();
	const withKeys = COMMANDS.filter((command) => command.keys.length > 0);
	const groups = [...new Set(withKeys.map((command) => command.group))];
	return (
		<Dialog.Root open onOpenChange={() => session.setDialog(undefined)}>
			<Dialog.Portal>
				<Dialog.Overlay className="scrim" />
				<Dialog.Content className="dialog key-sheet" aria-describedby={undefined}>
					<header className="dialog-head">
						<Dialog.Title>Keys, mouse and touch</Dialog.Title>
						<Dialog.Close className="icon-button" aria-label="Close">
							<X size={16} />
						</Dialog.Close>
					</header>
					<div className="key-groups">
						{groups.map((group) => (
							<section key={group}>
								<h2>{group}</h2>
								<dl>
									{withKeys
										.filter(
											(command) => command.group === group && !/^preset-[2-9]$/.test(command.id),
										)
										.map((command) => (
											<div key={command.id}>
												<dt>
													{command.id === "preset-1" ? (
														<>
															<kbd>1</kbd> … <kbd>9</kbd>
														</>
													) : (
														command.keys
															.slice(0, 2)
															.map((key) => <kbd key={key}>{keyName(key)}</kbd>)
													)}
												</dt>
												<dd>{command.id === "preset-1" ? "Window presets" : command.label}</dd>
											</div>
										))}
								</dl>
							</section>
						))}
						<Words title="Mouse" rows={MOUSE} />
						<Words title="Touch" rows={TOUCH} />
					</div>
				</Dialog.Content>
			</Dialog.Portal>
		</Dialog.Root>
	);
}
