import * as Menu from "@radix-ui/react-dropdown-menu";
import { useQuery } from "@tanstack/react-query";
import { CircleUser } from "lucide-react";
import { useState } from "react";
import { fetchSession, signOut } from "../dicomweb/studies";
import { currentTheme, setTheme } from "./theme";
import { Tip } from "./Tip";

/** Who is signed in; light or dark; the way out. */
export function UserMenu() {
	const [theme, choose] = useState(currentTheme);
	const { data } = useQuery({
		queryKey: ["session"],
		queryFn: ({ signal }) => fetchSession(signal),
	});
	const name = data?.full_name || data?.user || document.body.dataset.user || "";
	const other = theme === "dark" ? "light" : "dark";
	return (
		<Menu.Root>
			<Tip label={name ? `Signed in as ${name}` : "User"}>
				<Menu.Trigger className="icon-button" aria-label="User">
					<CircleUser size={16} />
				</Menu.Trigger>
			</Tip>
			<Menu.Portal>
				<Menu.Content className="menu" align="end" sideOffset={4}>
					<Menu.Label className="menu-label">{name}</Menu.Label>
					<Menu.Item
						className="menu-item"
						onSelect={() => {
							setTheme(other);
							choose(other);
						}}
					>
						{other === "light" ? "Light surroundings" : "Dark surroundings"}
					</Menu.Item>
					{(data?.staff || "staff" in document.body.dataset) && (
						<Menu.Item className="menu-item" asChild>
							<a href="/admin/" style={{ color: "inherit", textDecoration: "none" }}>
								Administration
							</a>
						</Menu.Item>
					)}
					<Menu.Separator className="menu-line" />
					<Menu.Item className="menu-item" onSelect={() => void signOut()}>
						Sign out
					</Menu.Item>
				</Menu.Content>
			</Menu.Portal>
		</Menu.Root>
	);
}
