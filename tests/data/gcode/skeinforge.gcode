(<alteration>)
M104 S210
G28
G1 Z20 F900
(</alteration>)
(<creation> skeinforge </creation>)
(<layer> 0.2 )
G1 X1 Y1 Z0.2 F900
G1 X5 Y5 Z0.2 F900 E1.0
(</layer>)
(<layer> 0.4 )
G1 X1 Y1 Z0.4 F900
G1 X5 Y5 Z0.4 F900 E2.0
(</layer>)
G1 Z30
