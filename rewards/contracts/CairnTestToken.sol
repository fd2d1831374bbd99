// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title Cairn test token
/// @notice The pay token of a local network. Anyone may mint, so it is worth nothing on purpose; a public network
/// names a real ERC-20 in the constructor of CairnRewards instead.
contract CairnTestToken is ERC20, ERC20Permit {
    constructor() ERC20("Cairn Test Token", "tCAIRN") ERC20Permit("Cairn Test Token") {}

    /// @notice Make `amountWei` new tokens for `to`. 10**18 wei are one token.
    function mint(address to, uint256 amountWei) external {
        _mint(to, amountWei);
    }
}
